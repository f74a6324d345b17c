"""How heads are compared on the validation part: by the task's first metric. Imports no torch."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from bioprune_core.errors import StageError
from bioprune_core.tasks import LOWER_IS_BETTER, Examples, Predictions, Targets, Task

__all__ = ["Measure", "gain", "refuse_nan"]

Measure = Callable[[Task, Targets, Predictions], Mapping[str, float]]
"""From a task, targets and predictions to figures by the names of the task's metrics."""


def gain(task: Task, figures: Mapping[str, float]) -> float:
    """How good figures are, by the task's first metric; more is better, and undefined is worst."""
    value = figures[task.metrics[0]]
    if math.isnan(value):
        return -math.inf
    return -value if task.metrics[0] in LOWER_IS_BETTER else value


def refuse_nan(examples: Examples, predictions: Predictions, model: str) -> None:
    """Stop where a prediction is NaN or infinite.

    Raises:
        StageError: Names the model and the first such example.
    """
    for name, prediction in zip(examples.ids, predictions, strict=True):
        if not np.isfinite(prediction).all():
            raise StageError(
                f"The predictions of {model} for the example {name} are NaN or infinite, so it cannot be "
                "scored. Its training diverged: start it anew with a lower learning rate. Nothing was "
                "measured."
            )
