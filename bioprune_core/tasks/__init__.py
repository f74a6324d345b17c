"""Downstream tasks: their data, splits, metrics and leakage. Imports no torch."""

from bioprune_core.tasks.catalogue import read_task, shipped_tasks
from bioprune_core.tasks.content import content_hash
from bioprune_core.tasks.leakage import Leakage, measure_leakage, without_leaks
from bioprune_core.tasks.metrics import LOWER_IS_BETTER, measure
from bioprune_core.tasks.own import OwnTask, read_own_task
from bioprune_core.tasks.splits import limit_training
from bioprune_core.tasks.task import Examples, Part, Predictions, TargetKind, Targets, Task, TaskData

__all__ = [
    "LOWER_IS_BETTER",
    "Examples",
    "Leakage",
    "OwnTask",
    "Part",
    "Predictions",
    "TargetKind",
    "Targets",
    "Task",
    "TaskData",
    "content_hash",
    "limit_training",
    "measure",
    "measure_leakage",
    "read_own_task",
    "read_task",
    "shipped_tasks",
    "without_leaks",
]
