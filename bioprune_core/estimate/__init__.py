"""What a run will take in time, memory and disk: a few batches measured, the rest arithmetic.

`measure_run` imports torch and runs where the run will; the arithmetic and its results do not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bioprune_core.estimate.cost import BatchCosts, RunCost, project_cost

if TYPE_CHECKING:
    from bioprune_core.estimate.measure import measure_run

__all__ = ["BatchCosts", "RunCost", "measure_run", "project_cost"]


def __getattr__(name: str) -> Any:
    if name != "measure_run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.measure").measure_run
