"""Metrics of maps over pairs of residues: base pairs, contacts and distances, pooled over all examples."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from bioprune_core.tasks.task import Predictions, Targets, Task

__all__ = ["contact_precision", "pair_f1", "pair_precision", "pair_recall", "scored_values"]

# The least separation |i - j| of a contact that counts, and the probability above which a pair is predicted.
LEAST_SEPARATION = 23
THRESHOLD = 0.5


def pair_precision(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Share of true pairs among predicted cells, over all scored cells; 0 when none is predicted."""
    hits, predicted, _ = _pair_counts(targets, predictions)
    return hits / predicted if predicted else 0.0


def pair_recall(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """Share of predicted cells among true pairs, over all scored cells; 0 when there is no pair."""
    hits, _, true = _pair_counts(targets, predictions)
    return hits / true if true else 0.0


def pair_f1(_task: Task, targets: Targets, predictions: Predictions) -> float:
    """F1 over all scored cells of all maps taken together, diagonal and both triangles included.

    A cell is predicted at a probability above 0.5. 0 where there is neither a predicted nor a true pair.

    Source: BEACON's secondary structure task (arXiv 2406.10391), its released code.
    """
    hits, predicted, true = _pair_counts(targets, predictions)
    return 2 * hits / (predicted + true) if predicted + true else 0.0


def contact_precision(divisor: int) -> Callable[[Task, Targets, Predictions], float]:
    """The metric "precision of the top L / `divisor` contacts".

    Of every map, symmetrised by the mean of its logits, the scored cells with j - i >= 23 are sorted by
    probability; of the first L // `divisor` those above 0.5 count as predicted. True and predicted contacts
    are summed over all maps before they are divided; 0 when none is predicted.

    Source: BEACON's contact map task (arXiv 2406.10391), its released code.
    """

    def metric(_task: Task, targets: Targets, predictions: Predictions) -> float:
        hits = predicted = 0
        for target, probability in zip(targets, predictions, strict=True):
            rows, columns = np.triu_indices(len(target), LEAST_SEPARATION)
            scored = target[rows, columns] >= 0
            rows, columns = rows[scored], columns[scored]
            symmetric = _symmetric(probability, rows, columns)
            # Stable, so that equal probabilities keep the order of the rows on every machine.
            top = np.argsort(-symmetric, kind="stable")[: len(target) // divisor]
            top = top[symmetric[top] > THRESHOLD]
            predicted += len(top)
            hits += int(np.count_nonzero(target[rows[top], columns[top]] == 1))
        return hits / predicted if predicted else 0.0

    return metric


def scored_values(
    targets: Targets, predictions: Predictions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Targets and predictions of all cells whose target is finite, of all maps, one after the other."""
    pairs = [
        (target[seen].astype(np.float64), np.asarray(prediction)[seen].astype(np.float64))
        for target, prediction in zip(targets, predictions, strict=True)
        for seen in [np.isfinite(target)]
    ]
    return np.concatenate([left for left, _ in pairs]), np.concatenate([right for _, right in pairs])


def _symmetric(
    probability: NDArray[np.floating], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The probability whose logit is the mean of those of the two triangles; exact where these are equal."""
    one = probability[rows, columns].astype(np.float64)
    other = probability[columns, rows].astype(np.float64)
    tiny = np.finfo(np.float64).tiny
    odds = np.log(np.maximum(one, tiny) * np.maximum(other, tiny)) - np.log(
        np.maximum(1 - one, tiny) * np.maximum(1 - other, tiny)
    )
    return np.where(one == other, one, 1 / (1 + np.exp(-odds / 2)))


def _pair_counts(targets: Targets, predictions: Predictions) -> tuple[int, int, int]:
    """Numbers of predicted true pairs, of predicted and of true pairs among the scored cells."""
    hits = predicted = true = 0
    for target, chosen in _cells(targets, predictions):
        hits += int(np.count_nonzero(chosen & (target == 1)))
        predicted += int(np.count_nonzero(chosen))
        true += int(np.count_nonzero(target == 1))
    return hits, predicted, true


def _cells(
    targets: Targets, predictions: Predictions
) -> Iterator[tuple[NDArray[np.int8], NDArray[np.bool_]]]:
    for target, probability in zip(targets, predictions, strict=True):
        scored = target >= 0
        yield target[scored], probability[scored] > THRESHOLD
