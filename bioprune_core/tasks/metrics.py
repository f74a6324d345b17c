"""The metrics of downstream tasks, by name, exactly as the benchmarks that they come from compute them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.ranks import mean_ranks, rank_correlation
from bioprune_core.tasks.pair_metrics import (
    contact_precision,
    pair_f1,
    pair_precision,
    pair_recall,
    scored_values,
)
from bioprune_core.tasks.task import Predictions, TargetKind, Targets, Task

__all__ = ["LOWER_IS_BETTER", "METRICS", "OF_THE_HIGHEST", "measure"]

Metric = Callable[[Task, Targets, Predictions], float]


def measure(task: Task, targets: Targets, predictions: Predictions) -> dict[str, float]:
    """The metrics of a task, in its order.

    Args:
        task: Names the metrics and the kind of the targets.
        targets: As in `Examples.targets`, of n >= 1 examples.
        predictions: CLASS: float, shape (n, classes), logits or probabilities. VALUE: float, shape (n,).
            LABELS: probabilities, shape (n, classes). RESIDUE_CLASS: n arrays of shape (L, classes).
            PAIRS: n arrays of probabilities, shape (L, L). PAIR_VALUES: n arrays of values, shape (L, L).

    Raises:
        InputError: There is no example, a prediction is of another shape than its target asks for, or is NaN
            or infinite; names the example by its position from 0.
    """
    _check(task, targets, predictions)
    return {name: METRICS[name](task, targets, predictions) for name in task.metrics}


def accuracy(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Share of examples (residues, where those are classified) whose largest prediction is their class."""
    truth, found, _ = _classified(targets, predictions)
    return float(np.mean(truth == found)) if len(truth) else 0.0


def macro_f1(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Mean of the classes' F1, over classes among targets or predictions, as scikit-learn has it."""
    truth, found, _ = _classified(targets, predictions)
    scores = [
        2 * np.sum((truth == label) & (found == label)) / (np.sum(truth == label) + np.sum(found == label))
        for label in np.union1d(truth, found)
    ]
    return float(np.mean(scores)) if scores else 0.0


def balanced_accuracy(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Mean of the classes' recall, over classes that occur among the targets."""
    truth, found, _ = _classified(targets, predictions)
    return float(np.mean([np.mean(found[truth == label] == label) for label in np.unique(truth)]))


def auc(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Area under the ROC curve of two classes, the second the positive one; 0.5 where only one occurs."""
    truth, _, scores = _classified(targets, predictions)
    # The difference orders like the softmax probability, whether these are logits or probabilities.
    return _area(truth == 1, scores[:, 1] - scores[:, 0])


def mean_auc(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Mean over labels of the area under the ROC curve.

    A label that all or none of the examples have has no such area and counts as 0.5, as in BEACON.
    """
    truth, scores = np.asarray(targets, dtype=bool), np.asarray(predictions)
    return float(np.mean([_area(truth[:, label], scores[:, label]) for label in range(truth.shape[1])]))


def spearman(task: Task, targets: Targets, predictions: Predictions) -> float:
    """Rank correlation, of maps over all their scored cells pooled; 0 where one side is constant."""
    return rank_correlation(*_values(task, targets, predictions)) or 0.0


def mean_squared_error(task: Task, targets: Targets, predictions: Predictions) -> float:
    """Mean squared error, of maps over all their scored cells pooled."""
    truth, found = _values(task, targets, predictions)
    return float(np.mean((truth - found) ** 2))


def root_mean_squared_error(task: Task, targets: Targets, predictions: Predictions) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mean_squared_error(task, targets, predictions)))


def mean_absolute_error(task: Task, targets: Targets, predictions: Predictions) -> float:
    """Mean absolute error, of maps over all their scored cells pooled."""
    truth, found = _values(task, targets, predictions)
    return float(np.mean(np.abs(truth - found)))


def squared_correlation(task: Task, targets: Targets, predictions: Predictions) -> float:
    """Pearson's r, squared, over all scored cells pooled (BEACON's "R2"); 0 where one side is constant."""
    truth, found = (values - values.mean() for values in _values(task, targets, predictions))
    scale = float(truth @ truth) * float(found @ found)
    return float(truth @ found) ** 2 / scale if scale > 0 else 0.0


def accuracy_per_protein(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Mean over sequences of the share of their scored residues that are right (PEER's "macro")."""
    shares = [
        np.mean(np.argmax(scores, axis=1)[target >= 0] == target[target >= 0])
        for target, scores in zip(targets, predictions, strict=True)
        if (target >= 0).any()
    ]
    return float(np.mean(shares)) if shares else 0.0


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "balanced_accuracy": balanced_accuracy,
        "auc": auc,
        "mean_auc": mean_auc,
        "spearman": spearman,
        "mse": mean_squared_error,
        "rmse": root_mean_squared_error,
        "mae": mean_absolute_error,
        "r2": squared_correlation,
        "precision": pair_precision,
        "recall": pair_recall,
        "f1": pair_f1,
        "contact_precision_l": contact_precision(1),
        "contact_precision_l2": contact_precision(2),
        "contact_precision_l5": contact_precision(5),
        # Q3 is the accuracy over all resolved residues together.
        "q3": accuracy,
        "q3_per_protein": accuracy_per_protein,
    }
)
LOWER_IS_BETTER = frozenset({"mse", "rmse", "mae"})
# Of a fixed number of cells, those predicted highest; of these, what lies above one half counts.
OF_THE_HIGHEST = frozenset({"contact_precision_l", "contact_precision_l2", "contact_precision_l5"})


def _classified(
    targets: Targets, predictions: Predictions
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.floating]]:
    """Classes, predicted classes and predictions of everything that is scored, in one row each."""
    truth = np.concatenate(targets) if isinstance(targets, tuple) else np.asarray(targets)
    scores = np.concatenate(predictions) if isinstance(predictions, tuple) else np.asarray(predictions)
    scored = truth >= 0
    return truth[scored], np.argmax(scores[scored], axis=1), scores[scored]


def _values(
    task: Task, targets: Targets, predictions: Predictions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if task.target is TargetKind.PAIR_VALUES:
        return scored_values(targets, predictions)
    return np.asarray(targets, dtype=np.float64), np.asarray(predictions, dtype=np.float64)


def _area(positive: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Area under the ROC curve by the ranks of the positives; 0.5 where all or none are positive."""
    hits = int(np.count_nonzero(positive))
    misses = len(positive) - hits
    if not hits or not misses:
        return 0.5
    ranks = mean_ranks(np.asarray(scores, dtype=np.float64))
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _check(task: Task, targets: Targets, predictions: Predictions) -> None:
    if not len(targets):
        raise InputError(f"Task {task.name}: there is no example to measure. Give a part that is not empty.")
    if len(targets) != len(predictions):
        raise InputError(
            f"Task {task.name}: there are {len(predictions):,} predictions for {len(targets):,} examples."
        )
    for place, (target, prediction) in enumerate(zip(targets, predictions, strict=True)):
        found, wanted = np.shape(prediction), _shape(task, np.shape(target))
        if found != wanted:
            raise InputError(
                f"Task {task.name}: the prediction of example {place} has the shape {found}; it must be "
                f"{wanted}."
            )
        if not np.isfinite(prediction).all():
            raise InputError(
                f"Task {task.name}: the prediction of example {place} is NaN or infinite. The model has "
                "diverged: lower the learning rate, or leave this model out."
            )


def _shape(task: Task, target: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one example's prediction."""
    if task.target in (TargetKind.CLASS, TargetKind.RESIDUE_CLASS):
        return (*target, len(task.classes))
    return target
