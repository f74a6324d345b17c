"""Where experiments are carried out: cells are computed once, kept by content, and read into a report.

Names are resolved on first use, so that states and reports can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.laboratory.preparation import Prepared, prepare
    from bioprune_core.laboratory.progress import ExperimentStatus, gather, status_of
    from bioprune_core.laboratory.running import Outcome, run_experiment
    from bioprune_core.laboratory.store import CellStore

__all__ = [
    "CellStore",
    "ExperimentStatus",
    "Outcome",
    "Prepared",
    "gather",
    "prepare",
    "run_experiment",
    "status_of",
]

_HOMES = {
    "CellStore": "store",
    "ExperimentStatus": "progress",
    "Outcome": "running",
    "Prepared": "preparation",
    "gather": "progress",
    "prepare": "preparation",
    "run_experiment": "running",
    "status_of": "progress",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
