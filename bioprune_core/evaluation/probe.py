"""Linear heads on frozen features of sequences and residues, their strength chosen on the validation part.

Classes: multinomial logistic regression. Labels: one logistic regression each. Values: ridge regression.
Residues: multinomial logistic regression over residues.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from bioprune_core.errors import InputError
from bioprune_core.evaluation.features import ResidueFeatures, Scaling
from bioprune_core.evaluation.protocol import ProbeSettings
from bioprune_core.evaluation.scoring import Measure, gain
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.tasks.task import Examples, Part, Predictions, TargetKind, TaskData

__all__ = ["Probed", "probe_residues", "probe_sequences"]

# Enough for the strongest signals of weak penalties; the optimum is then known to 1e-4 in the gradient.
_ITERATIONS = 1000
# Up to so many features in all, heads are fitted in one thread: an iteration takes milliseconds, so that
# threads wait for each other. All strengths on 2 cores beside a busy process: of 27,000 sequences of 128
# features 1.9 s in one thread and 15 s in two, of 5,400 sequences in 13 classes 2.9 s and 43 s.
_IN_ONE_THREAD = 1 << 24
# Penalties beyond which none is tried: nothing is learned above, and nothing is left of it below.
_WEAKEST, _STRONGEST = 1e-8, 1e6
_STAGE = "probe"

Predict = Callable[[NDArray[np.float32]], NDArray[np.floating]]


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """What a trained head says.

    Args:
        validation: Predictions for the validation part.
        test: Predictions for the test part.
        chosen: What was chosen on the validation part, by name.
    """

    validation: Predictions
    test: Predictions
    chosen: dict[str, float]


def probe_sequences(
    data: TaskData,
    features: Mapping[Part, NDArray[np.float32]],
    settings: ProbeSettings,
    measure: Measure,
    report: Reporter = discard,
) -> Probed:
    """Fit heads of all strengths on sequences and keep the best.

    Args:
        data: Of kind CLASS, LABELS or VALUE.
        features: By part, float32, shape (n, d).
        settings: The strengths.
        measure: The task's metrics.
        report: Told after every strength.

    Raises:
        InputError: The training part has one class only.
    """
    train = data.parts[Part.TRAIN]
    scaling = Scaling.of(features[Part.TRAIN])
    values = _doubles(scaling(features[Part.TRAIN]))
    fit = {
        TargetKind.CLASS: _fit_classes,
        TargetKind.LABELS: _fit_labels,
        TargetKind.VALUE: _fit_values,
    }[data.task.target]
    classes = len(data.task.classes)

    def predictor(strength: float) -> Predict:
        return fit(values, np.asarray(train.targets), strength, classes)

    def predicted(predict: Predict, part: Part) -> Predictions:
        return predict(scaling(features[part]))

    return _best(data, settings, measure, predictor, predicted, report)


def probe_residues(
    data: TaskData,
    features: Mapping[Part, ResidueFeatures],
    settings: ProbeSettings,
    seed: int,
    measure: Measure,
    report: Reporter = discard,
) -> Probed:
    """Fit heads of all strengths on residues and keep the best.

    Args:
        data: Of kind RESIDUE_CLASS.
        features: By part.
        settings: The strengths, and most residues to train on; of more, a seeded sample is drawn.
        seed: Of the sample.
        measure: The task's metrics.
        report: Told after every strength.

    Raises:
        InputError: The training part has one class only, or no residue to score.
    """
    labels = np.concatenate(list(data.parts[Part.TRAIN].targets)).astype(np.int64)
    rows = np.flatnonzero(labels >= 0)
    if len(rows) > settings.residues:
        rows = np.sort(np.random.default_rng(seed).choice(rows, settings.residues, replace=False))
    values = features[Part.TRAIN].values[rows].astype(np.float32)
    if not len(values):
        raise InputError(
            f"No residue of the training part of the task {data.task.name} has a class; all are marked -1. "
            "Check the task's masks."
        )
    scaling = Scaling.of(values)
    scaled = _doubles(scaling(values))

    def predictor(strength: float) -> Predict:
        return _fit_classes(scaled, labels[rows], strength, len(data.task.classes))

    def predicted(predict: Predict, part: Part) -> Predictions:
        of_part = features[part]
        return tuple(predict(scaling(of_part.of(index))) for index in range(len(of_part)))

    return _best(data, settings, measure, predictor, predicted, report)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """A head with its penalty, how good it is on the validation part, and what it says there."""

    strength: float
    gain: float
    predict: Predict
    predictions: Predictions


def _best(
    data: TaskData,
    settings: ProbeSettings,
    measure: Measure,
    predictor: Callable[[float], Predict],
    predicted: Callable[[Predict, Part], Predictions],
    report: Reporter,
) -> Probed:
    """The strength that is best on the validation part; of equal ones the strongest penalty.

    Where that is the largest or smallest of those asked for, decades beyond are tried while they are better.
    """
    validation: Examples = data.parts[Part.VALIDATION]
    tried = 0

    def fitted(strength: float) -> _Fitted:
        nonlocal tried
        predict = predictor(strength)
        predictions = predicted(predict, Part.VALIDATION)
        reached = gain(data.task, measure(data.task, validation.targets, predictions))
        tried += 1
        report(Progress(_STAGE, tried, None, "penalties"))
        return _Fitted(strength, reached, predict, predictions)

    heads = [fitted(strength) for strength in sorted(set(settings.strengths), reverse=True)]
    # The first of equal ones, which has the strongest penalty.
    best = max(heads, key=lambda head: head.gain)
    for end, factor in ((heads[0], 10.0), (heads[-1], 0.1)):
        while best is end and _WEAKEST <= (strength := _rounded(end.strength * factor)) <= _STRONGEST:
            end = fitted(strength)
            best = max(best, end, key=lambda head: head.gain)
    return Probed(best.predictions, predicted(best.predict, Part.TEST), {"strength": best.strength})


def _rounded(strength: float) -> float:
    """Without the last digits, which differ with the way there."""
    return float(f"{strength:.6g}")


def _doubles(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """In float64, once for all strengths: in float32 the line search gives up early."""
    return values.astype(np.float64)


def _fit_classes(values: NDArray[np.float64], labels: NDArray[Any], strength: float, classes: int) -> Predict:
    present = np.unique(labels)
    if len(present) < 2:
        raise InputError(
            f"The training part has one class only (number {present[0]}), so there is nothing to learn. "
            "Check the labels and the split."
        )
    model = _logistic(values, labels, strength)

    def predict(others: NDArray[np.float32]) -> NDArray[np.float64]:
        # A class that is not in the training part is never predicted.
        probabilities = np.zeros((len(others), classes))
        probabilities[:, present] = model.predict_proba(others.astype(np.float64))
        return probabilities

    return predict


def _fit_labels(values: NDArray[np.float64], labels: NDArray[Any], strength: float, classes: int) -> Predict:
    # A label that all training examples have, or none, is predicted for all, or none.
    models = [
        _logistic(values, labels[:, index], strength) if len(np.unique(labels[:, index])) > 1 else None
        for index in range(classes)
    ]
    if all(model is None for model in models):
        raise InputError(
            "Every label is the same in all examples of the training part, so there is nothing to learn. "
            "Check the labels and the split."
        )
    constants = labels[0].astype(np.float64)

    def predict(others: NDArray[np.float32]) -> NDArray[np.float64]:
        columns = [
            np.full(len(others), constant)
            if model is None
            else model.predict_proba(others.astype(np.float64))[:, 1]
            for model, constant in zip(models, constants, strict=True)
        ]
        return np.stack(columns, axis=1)

    return predict


def _fit_values(
    values: NDArray[np.float64], targets: NDArray[Any], strength: float, _classes: int
) -> Predict:
    if np.ptp(targets) == 0:
        raise InputError(
            f"All {len(targets):,} targets of the training part are {targets[0]:g}, so there is nothing to "
            "learn. Check the column of the labels."
        )
    model = Ridge(alpha=strength * len(values))
    model.fit(values, targets)

    def predict(others: NDArray[np.float32]) -> NDArray[np.float64]:
        predictions: NDArray[np.float64] = model.predict(others.astype(np.float64))
        return predictions

    return predict


def _logistic(values: NDArray[np.float64], labels: NDArray[Any], strength: float) -> Any:
    # Its penalty is |w|^2 / 2 beside C times the summed loss.
    model = LogisticRegression(C=1 / (strength * len(values)), max_iter=_ITERATIONS)
    with threadpool_limits(1 if values.size <= _IN_ONE_THREAD else None), catch_warnings():
        # A head that is not done by then is judged by the validation part like the others.
        simplefilter("ignore", ConvergenceWarning)
        return model.fit(values, labels)
