"""Downstream tasks: their data, splits, metrics and leakage. Imports no torch."""

from bioprune_core.tasks.catalogue import read_task, shipped_tasks
from bioprune_core.tasks.content import content_hash
from bioprune_core.tasks.leakage import Leakage, measure_leakage, without_leaks
from bioprune_core.tasks.metrics import LOWER_IS_BETTER, OF_THE_HIGHEST, measure
from bioprune_core.tasks.own import OwnKind, OwnTask, guess_kind, read_own_task
from bioprune_core.tasks.readers.tabular import Columns, usual_columns
from bioprune_core.tasks.splits import limit_training
from bioprune_core.tasks.tables import read_header, read_table
from bioprune_core.tasks.task import Examples, Part, Predictions, TargetKind, Targets, Task, TaskData

__all__ = [
    "LOWER_IS_BETTER",
    "OF_THE_HIGHEST",
    "Columns",
    "Examples",
    "Leakage",
    "OwnKind",
    "OwnTask",
    "Part",
    "Predictions",
    "TargetKind",
    "Targets",
    "Task",
    "TaskData",
    "content_hash",
    "guess_kind",
    "limit_training",
    "measure",
    "measure_leakage",
    "read_header",
    "read_own_task",
    "read_table",
    "read_task",
    "shipped_tasks",
    "usual_columns",
    "without_leaks",
]
