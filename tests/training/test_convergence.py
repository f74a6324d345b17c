import json

import numpy as np
import pytest

from bioprune_core.training.convergence import Convergence, PairedChange, Verdict, judge

FLAT_END = [1.4 - 0.2 * (1 - np.exp(-step / 5)) for step in range(60)]
STRAIGHT_FALL = [1.4 - 0.2 * step / 60 for step in range(60)]


def change(before: float, after: float, error: float = 0.001) -> PairedChange:
    return PairedChange(before, after, after - before, error, 100)


@pytest.mark.parametrize(
    ("subset", "held_out", "curve", "verdict", "words"),
    [
        (change(1.4, 1.2), change(1.4, 1.25), FLAT_END, Verdict.ADAPTED, "adapted to the subset"),
        (change(1.4, 1.2), None, FLAT_END, Verdict.ADAPTED, "adapted to the subset"),
        (change(1.2, 1.25), change(1.2, 1.25), FLAT_END, Verdict.ROSE, "Lower the learning rate"),
        (change(1.2, 1.2005), None, FLAT_END, Verdict.UNCHANGED, "did not adapt"),
        (change(1.2, 1.2 + 1e-7, 1e-8), None, FLAT_END, Verdict.UNCHANGED, "raise the learning rate"),
        (change(1.3, 1.1), change(1.3, 1.3005, 1e-5), FLAT_END, Verdict.ADAPTED, "adapted"),
        (change(1.2, 1.1995, 1e-6), None, FLAT_END, Verdict.UNCHANGED, "more epochs"),
        (
            change(1.5, 1.381),
            None,
            FLAT_END,
            Verdict.COMPOSITION_ONLY,
            "how often each letter occurs (1.3800)",
        ),
        (change(1.3, 1.1), change(1.3, 1.35), FLAT_END, Verdict.OVERFITTED, "by heart"),
        (change(1.3, 1.1), change(1.3, 1.3005), FLAT_END, Verdict.ADAPTED, "from 1.3000 to 1.3005"),
        (change(1.4, 1.2), None, STRAIGHT_FALL, Verdict.STILL_FALLING, "Train for more epochs"),
        (change(1.4, 1.2), None, STRAIGHT_FALL[:9], Verdict.ADAPTED, "adapted"),
        (change(1.4, 1.4, 0), change(1.4, 1.4, 0), [], Verdict.NOT_TUNED, "not fine-tuned"),
    ],
)
def test_verdicts(
    subset: PairedChange, held_out: PairedChange | None, curve: list[float], verdict: Verdict, words: str
) -> None:
    given, sentence = judge(subset, held_out, 1.38, curve)
    assert given is verdict
    assert words in sentence
    assert f"{subset.before:.4f}" in sentence
    assert f"{subset.after:.4f}" in sentence


def test_a_noisy_flat_curve_is_not_falling() -> None:
    for seed in range(50):
        noise = np.random.default_rng(seed).normal(0, 0.05, 60)
        verdict, _ = judge(change(1.4, 1.2), None, 1.38, (np.array(FLAT_END) + noise).tolist())
        assert verdict is Verdict.ADAPTED


def test_a_paired_change_uses_the_sequences_differences() -> None:
    before = np.array([1.0, 2.0, 3.0, 4.0])
    # The sequences differ far more among each other than each does from itself.
    ones = np.ones(4, dtype=np.int64)
    paired = PairedChange.of(before, before - np.array([0.1, 0.11, 0.09, 0.1]), ones)
    assert paired.change == pytest.approx(-0.1)
    assert paired.standard_error == pytest.approx(np.std([0.1, 0.11, 0.09, 0.1], ddof=1) / 2)
    assert paired.fell
    assert not paired.rose
    single = PairedChange.of(before[:1], before[:1] - 0.1, ones[:1])
    assert single.standard_error == 0
    assert single.fell


def test_the_change_that_is_judged_is_that_of_the_losses_told() -> None:
    """Ten long sequences rise, forty short ones fall by more each."""
    targets = np.repeat([30, 2], [10, 40])
    random = np.random.default_rng(0)
    before = np.full(50, 1.3)
    after = np.repeat([1.33, 1.25], [10, 40]) + random.normal(0, 0.002, 50)
    paired = PairedChange.of(before, after, targets)
    assert (after - before).mean() < 0 < paired.after - paired.before
    assert paired.change == paired.after - paired.before
    assert judge(paired, None, 1.38, FLAT_END)[0] is Verdict.ROSE
    # The error of a ratio, by drawing the sequences again.
    drawn = random.integers(50, size=(4000, 50))
    ratios = (targets * (after - before))[drawn].sum(axis=1) / targets[drawn].sum(axis=1)
    assert paired.standard_error == pytest.approx(ratios.std(), rel=0.2)


@pytest.mark.parametrize("held_out", [None, change(1.4, 1.3)])
def test_json_round_trip(held_out: PairedChange | None) -> None:
    verdict, sentence = judge(change(1.4, 1.2), held_out, 1.38, FLAT_END)
    evidence = Convergence(
        verdict, sentence, change(1.4, 1.2), held_out, 1.38, 2.0, 1.0, 0.5, 0.1, FLAT_END, [1e-3] * 60
    )
    assert Convergence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence
    assert evidence.converged
