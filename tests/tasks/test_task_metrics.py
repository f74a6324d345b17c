"""Metrics agree with scikit-learn, with scipy, and with cases worked by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.tasks import LOWER_IS_BETTER, TargetKind, Task, measure
from bioprune_core.tasks.metrics import METRICS

RANDOM = np.random.default_rng(0)


def task(kind: TargetKind, *metrics: str, classes: int = 0) -> Task:
    return Task("trial", "Trial", Alphabet.RNA, kind, metrics, tuple(map(str, range(classes))))


def test_classes_agree_with_scikit_learn() -> None:
    truth = RANDOM.integers(0, 4, 300)
    scores = RANDOM.normal(size=(300, 5)) + 1.5 * np.eye(5)[truth]
    found = measure(
        task(TargetKind.CLASS, "accuracy", "macro_f1", "balanced_accuracy", classes=5), truth, scores
    )
    predicted = scores.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(truth, predicted, average="macro"))
    assert found["balanced_accuracy"] == pytest.approx(
        np.mean([np.mean(predicted[truth == label] == label) for label in range(4)])
    )


def test_areas_agree_with_scikit_learn_also_with_ties() -> None:
    truth = RANDOM.integers(0, 2, 200)
    scores = np.round(RANDOM.normal(size=(200, 2)) + truth[:, None] * [0, 1], 1)
    found = measure(task(TargetKind.CLASS, "auc", classes=2), truth, scores)
    assert found["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(truth, scores[:, 1] - scores[:, 0]))
    labels = RANDOM.integers(0, 2, (200, 3)).astype(bool)
    labels[:, 2] = False  # no area: counts as 0.5
    chances = np.round(RANDOM.random((200, 3)), 1)
    areas = [sklearn_metrics.roc_auc_score(labels[:, column], chances[:, column]) for column in range(2)]
    found = measure(task(TargetKind.LABELS, "mean_auc", classes=3), labels, chances)
    assert found["mean_auc"] == pytest.approx(np.mean([*areas, 0.5]))


def test_values_agree_with_scipy_and_scikit_learn() -> None:
    truth = np.round(RANDOM.normal(size=150), 1)
    found = np.round(truth + RANDOM.normal(size=150), 1)
    values = measure(task(TargetKind.VALUE, "spearman", "mse", "rmse", "mae", "r2"), truth, found)
    assert values["spearman"] == pytest.approx(stats.spearmanr(truth, found).statistic)
    assert values["mse"] == pytest.approx(sklearn_metrics.mean_squared_error(truth, found))
    assert values["rmse"] == pytest.approx(np.sqrt(values["mse"]))
    assert values["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(truth, found))
    assert values["r2"] == pytest.approx(stats.pearsonr(truth, found).statistic ** 2)
    assert {"mse", "rmse", "mae"} == LOWER_IS_BETTER
    assert set(METRICS) >= LOWER_IS_BETTER


def test_base_pairs_are_counted_over_all_cells_of_all_maps() -> None:
    """Two maps by hand: 4 true cells, 6 predicted, 2 of them right; unscored cells count nowhere."""
    one, other = np.zeros((4, 4), dtype=np.int8), np.zeros((3, 3), dtype=np.int8)
    one[0, 3] = one[3, 0] = 1
    other[0, 2] = other[2, 0] = 1
    one[1, 1] = -1
    guess, second = np.zeros((4, 4)), np.zeros((3, 3))
    guess[0, 3] = guess[3, 0] = 0.9
    guess[0, 2] = guess[2, 0] = 0.51
    guess[1, 1] = 1.0
    guess[1, 2] = guess[2, 1] = 0.5  # not above the threshold
    second[1, 2] = second[2, 1] = 0.8
    found = measure(task(TargetKind.PAIRS, "precision", "recall", "f1"), (one, other), (guess, second))
    assert found == pytest.approx({"precision": 2 / 6, "recall": 2 / 4, "f1": 2 * 2 / (6 + 4)})
    nothing = measure(task(TargetKind.PAIRS, "precision", "f1"), (one, other), (0 * guess, 0 * second))
    assert nothing == {"precision": 0.0, "f1": 0.0}


def contacts_by_definition(targets: list[np.ndarray], maps: list[np.ndarray], divisor: int) -> float:
    """As the definition says it, cell by cell."""
    hits = wrong = 0
    for target, chances in zip(targets, maps, strict=True):
        length = len(target)
        logits = np.log(chances / (1 - chances))
        logits = (logits + logits.T) / 2
        cells = [
            (-logits[i, j], i, j)
            for i in range(length)
            for j in range(length)
            if j - i >= 23 and target[i, j] >= 0
        ]
        for negative, i, j in sorted(cells)[: length // divisor]:
            if -negative > 0:
                hits, wrong = hits + (target[i, j] == 1), wrong + (target[i, j] == 0)
    return hits / (hits + wrong) if hits + wrong else 0.0


@pytest.mark.parametrize(("name", "divisor"), [("l", 1), ("l2", 2), ("l5", 5)])
def test_contact_precision_is_that_of_the_definition(name: str, divisor: int) -> None:
    targets, maps = [], []
    for length in (30, 61, 24, 20):
        upper = np.triu(RANDOM.choice([-1, 0, 1], (length, length), p=[0.1, 0.7, 0.2]))
        targets.append((upper + np.triu(upper, 1).T).astype(np.int8))
        maps.append(RANDOM.random((length, length)) * 0.98 + 0.01)
    metric = f"contact_precision_{name}"
    found = measure(task(TargetKind.PAIRS, metric), tuple(targets), tuple(maps))[metric]
    assert found == pytest.approx(contacts_by_definition(targets, maps, divisor))
    assert 0 < found < 1


def test_residues_are_pooled_or_averaged_over_proteins() -> None:
    truth = (np.array([0, 1, -1, 2]), np.array([1, 1]))
    scores = (np.eye(3)[[0, 1, 0, 0]], np.eye(3)[[0, 0]])
    found = measure(task(TargetKind.RESIDUE_CLASS, "q3", "q3_per_protein", classes=3), truth, scores)
    assert found == pytest.approx({"q3": 2 / 5, "q3_per_protein": (2 / 3 + 0) / 2})


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf])
def test_maps_of_values_are_pooled_where_they_are_known(unknown: float) -> None:
    truth = np.array([[unknown, 1.0], [2.0, 4.0]], dtype=np.float32)
    guess = np.array([[9.0, 1.0], [3.0, 4.0]])
    found = measure(task(TargetKind.PAIR_VALUES, "mse", "r2", "spearman"), (truth,), (guess,))
    assert found["mse"] == pytest.approx(1 / 3)
    assert found["r2"] == pytest.approx(stats.pearsonr([1, 2, 4], [1, 3, 4]).statistic ** 2)
    assert found["spearman"] == pytest.approx(1.0)


def test_predictions_that_are_nan_or_of_another_shape_are_refused() -> None:
    trial = task(TargetKind.CLASS, "accuracy", classes=2)
    scores = np.zeros((3, 2))
    scores[1, 0] = np.nan
    with pytest.raises(InputError, match="prediction of example 1 is NaN or infinite"):
        measure(trial, np.array([0, 1, 0]), scores)
    with pytest.raises(InputError, match=r"example 0 has the shape \(3,\); it must be \(2,\)"):
        measure(trial, np.array([0]), np.zeros((1, 3)))
    with pytest.raises(InputError, match="2 predictions for 1 examples"):
        measure(trial, np.array([0]), np.zeros((2, 2)))
    with pytest.raises(InputError, match="no example"):
        measure(trial, np.array([], dtype=int), np.zeros((0, 2)))
