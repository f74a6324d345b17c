"""Where experiments are carried out: cells are computed once, kept by content, and read into a report.

Names are resolved on first use, so that states and reports can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.laboratory.plan_file import PlannedExperiment, planned, read_planned
    from bioprune_core.laboratory.preparation import Prepared, prepare
    from bioprune_core.laboratory.progress import ExperimentStatus, gather, status_of, was_fine_tuned
    from bioprune_core.laboratory.running import Outcome, run_experiment
    from bioprune_core.laboratory.store import CellStore

__all__ = [
    "CellStore",
    "ExperimentStatus",
    "Outcome",
    "PlannedExperiment",
    "Prepared",
    "gather",
    "planned",
    "prepare",
    "read_planned",
    "run_experiment",
    "status_of",
    "was_fine_tuned",
]

_HOMES = {
    "CellStore": "store",
    "ExperimentStatus": "progress",
    "Outcome": "running",
    "PlannedExperiment": "plan_file",
    "Prepared": "preparation",
    "gather": "progress",
    "planned": "plan_file",
    "prepare": "preparation",
    "read_planned": "plan_file",
    "run_experiment": "running",
    "status_of": "progress",
    "was_fine_tuned": "progress",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
