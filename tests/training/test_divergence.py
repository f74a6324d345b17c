"""Which losses are a divergence, and which only look like one."""

from pathlib import Path

import numpy as np
import pytest

from bioprune_core.storage import read_json
from bioprune_core.training import TrainingHistory
from bioprune_core.training.divergence import LossGrowth, bad_end
from bioprune_core.training.history import Curve

VOCABULARY = 25  # ln 25 = 3.22


def first_growth(losses: list[float]) -> int | None:
    """The step, from 1, at which the growth of the loss is noticed."""
    growth = LossGrowth()
    return next((step for step, loss in enumerate(losses, 1) if growth.add(loss)), None)


@pytest.mark.parametrize("good_steps", [50, 73, 149])
def test_growth_is_noticed_at_any_step(good_steps: int) -> None:
    """Half of a window at two nats more is its mean one more."""
    assert first_growth([1.3] * good_steps + [3.5] * 50) == good_steps + 23


def test_growth_is_noticed_alike_after_a_resumption() -> None:
    growth = LossGrowth([1.3] * 60 + [3.5] * 22)
    assert "1.3," in growth.add(3.5)


def test_noisy_losses_of_few_families_are_no_divergence() -> None:
    """A coreset of near-identical sequences learned by heart, with steps of another family in between."""
    random = np.random.default_rng(0)
    falling = 0.2 + 3.0 * np.exp(-np.arange(3000) / 30)
    losses = (falling + np.where(random.random(3000) < 0.3, 1.4, 0.0) + random.normal(0, 0.2, 3000)).tolist()
    assert first_growth(losses) is None
    assert not bad_end(losses, [3.3, 5.0], VOCABULARY), "held-out sequences of other families"


@pytest.mark.parametrize("seed", range(3))
def test_steps_known_by_heart_among_others_are_no_divergence(seed: int) -> None:
    losses = np.where(np.random.default_rng(seed).random(10_000) < 0.5, 0.3, 2.7)
    assert first_growth(losses.tolist()) is None


@pytest.mark.parametrize("steps", [2, 5, 45, 99])
def test_an_end_above_the_untrained_network_is_a_divergence_however_short(steps: int) -> None:
    losses = [3.3, *[130.0] * (steps - 1)]
    # A few steps may have predicted a token or two: validation alone can tell.
    assert ("untrained network was 3.3" in bad_end(losses, [], VOCABULARY)) == (steps > 5)
    assert "validation loss is 130" in bad_end(losses, [3.3, 130.5], VOCABULARY)


def test_a_single_step_is_judged_by_the_validation() -> None:
    assert bad_end([3.3], [3.3, 25.0], VOCABULARY)
    assert not bad_end([3.3], [3.3, 2.5], VOCABULARY)
    assert not bad_end([3.3], [], VOCABULARY)
    assert not bad_end([], [3.3], VOCABULARY)


def test_a_first_step_of_easy_sequences_makes_no_divergence() -> None:
    """A pretrained network knows some families well: its first step may be of those."""
    assert not bad_end([0.1, *[1.4] * 20], [], VOCABULARY)


def test_a_rate_that_moves_nothing_is_no_divergence() -> None:
    assert not bad_end([3.28, 3.33, 3.31], [3.289, 3.291], VOCABULARY)


def history(loss: float, entropy: float | None) -> TrainingHistory:
    curve = Curve([3.3], [1e-3], [0.5], [10], [2])
    return TrainingHistory(curve, [(0, 3.3), (1, loss)], 0, 0, "hash", entropy)


def test_a_perplexity_beyond_float64_is_null(tmp_path: Path) -> None:
    history(800.0, 1.38).write(tmp_path)
    points = read_json(tmp_path / "history.json")["validation"]
    assert [point["perplexity"] for point in points] == [pytest.approx(27.1, abs=0.1), None]
    assert TrainingHistory.read(tmp_path) == history(800.0, 1.38)


def test_a_loss_no_lower_than_the_entropy_of_the_letters_is_knowing_them_alone() -> None:
    assert history(1.386, 1.386).knows_only_letters
    assert not history(1.28, 1.386).knows_only_letters
    assert not history(1.5, None).knows_only_letters, "written before entropies were"
