"""Advice on the size of a coreset finds planted knees, and says where it cannot."""

import math

import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from bioprune_core.errors import InputError
from bioprune_core.experiments import AdviceOutcome, SizeCurve, advise
from bioprune_core.experiments.advice import fall_with_size

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
KNEE = 8_000


def _curve(noise: float, seeds: int = 8, sizes: tuple[int, ...] = SIZES, sign: float = 1.0) -> SizeCurve:
    """Falls short of the full pool by 0.1 for every factor e below the knee."""
    random = np.random.default_rng(1)
    values = {
        size: {
            seed: sign * (0.9 - 0.1 * max(0.0, math.log(KNEE / size))) + random.normal(0, noise)
            for seed in range(seeds)
        }
        for size in sizes
    }
    full = {seed: sign * 0.9 + random.normal(0, noise) for seed in range(seeds)}
    return SizeCurve(values, full, 200_000, sign < 0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_planted_knee_is_found_in_the_logarithm_of_the_size(sign: float) -> None:
    # Without noise the curve is a straight line in the logarithm between 2,000 and 5,000, and 0.1 short at
    # KNEE / e = 2,943.
    advice = advise(_curve(0.0, sign=sign), 0.1)
    assert advice.outcome is AdviceOutcome.FOUND
    assert advice.size == math.ceil(KNEE / math.e)
    assert advice.low == advice.high == advice.size


def test_with_noise_the_interval_holds_the_knee() -> None:
    advice = advise(_curve(0.02), 0.1)
    assert advice.low is not None and advice.high is not None and advice.size is not None
    assert advice.low < advice.size < advice.high
    assert advice.low < KNEE / math.e < advice.high
    assert "90 % interval over 8 seeds" in advice.sentence


def test_a_wider_tolerance_never_asks_for_more() -> None:
    curve = _curve(0.02)
    sizes = [advise(curve, tolerance).size for tolerance in (0.05, 0.1, 0.15, 0.2)]
    assert all(size is not None for size in sizes)
    assert sizes == sorted(sizes, reverse=True)  # type: ignore[type-var]


def test_a_curve_that_stays_below_is_not_reached() -> None:
    advice = advise(_curve(0.001, sizes=(1_000, 2_000)), 0.05)
    assert (advice.outcome, advice.size, advice.high) == (AdviceOutcome.NOT_REACHED, None, None)
    assert advice.low is None
    assert "No measured size" in advice.sentence
    assert "begins above the largest size" in advice.sentence


def test_a_curve_that_is_reached_at_once_says_that_less_may_do() -> None:
    advice = advise(_curve(0.001, sizes=(20_000, 50_000)), 0.05)
    assert (advice.outcome, advice.size) == (AdviceOutcome.SMALLEST_SUFFICES, 20_000)
    assert "a smaller one may be as well" in advice.sentence


def test_an_end_at_the_smallest_size_measured_is_said_to_be_at_most_that() -> None:
    """Nothing was measured below it, so the interval may go on there."""
    tight = advise(_curve(0.001, sizes=(20_000, 50_000)), 0.05)
    assert tight.low == tight.high == 20_000
    assert tight.sentence.endswith("90 % interval over 8 seeds: at most 20,000 sequences.")
    values = {1_000: {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.8}, 2_000: dict.fromkeys(range(4), 0.9)}
    wide = advise(SizeCurve(values, dict.fromkeys(range(4), 0.9), 9_000, False), 0.09)
    assert wide.low == 1_000 and wide.high is not None and wide.high > 1_000
    assert wide.sentence.endswith(f"90 % interval over 4 seeds: at most 1,000 to {wide.high:,}.")
    assert "at most" not in advise(_curve(0.02), 0.1).sentence


def test_what_seeds_do_not_agree_to_reach_has_no_upper_end() -> None:
    values = {1_000: dict.fromkeys(range(4), 0.5), 2_000: {0: 0.9, 1: 0.9, 2: 0.9, 3: 0.5}}
    advice = advise(SizeCurve(values, dict.fromkeys(range(4), 0.9), 9_000, False), 0.12)
    assert advice.outcome is AdviceOutcome.FOUND
    assert advice.high is None
    assert advice.low is not None
    assert "more than the largest size measured" in advice.sentence


def test_without_the_full_pool_nothing_is_advised() -> None:
    curve = _curve(0.0)
    advice = advise(SizeCurve(curve.values, {}, 200_000, False), 0.1)
    assert (advice.outcome, advice.size) == (AdviceOutcome.FULL_NOT_MEASURED, None)


def test_one_size_is_no_curve() -> None:
    advice = advise(_curve(0.0, sizes=(1_000,)), 0.1)
    assert (advice.outcome, advice.size) == (AdviceOutcome.TOO_FEW_SIZES, None)


@pytest.mark.parametrize("seeds", [1, 2])
def test_two_seeds_have_no_interval(seeds: int) -> None:
    advice = advise(_curve(0.0, seeds=seeds), 0.1)
    assert advice.size == math.ceil(KNEE / math.e)
    assert (advice.low, advice.high) == (None, None)
    assert advice.sentence.endswith("With fewer than 3 seeds its uncertainty is not known.")


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_interval_holds_as_often_as_it_says(seeds: int) -> None:
    """Losses fall as a power of the size; the sizes of a seed share half of the variance of the noise."""
    random = np.random.default_rng(0)
    size, trials, held = 4_000, 200, 0
    tolerance = 3 / math.sqrt(size) - 3 / math.sqrt(200_000)
    for _ in range(trials):
        full, own = random.normal(0, 0.01 * math.sqrt(0.5), (2, seeds, len(SIZES)))
        values = {
            each: dict(enumerate((0.9 - 3 / math.sqrt(each) + own[:, place]).tolist()))
            for place, each in enumerate(SIZES)
        }
        best = 0.9 - 3 / math.sqrt(200_000) + full[:, 0]
        advice = advise(SizeCurve(values, dict(enumerate(best.tolist())), 200_000, False), tolerance)
        high = math.inf if advice.high is None else advice.high
        held += advice.low is not None and advice.low <= size <= high
    # Standard error at 90 %: 0.021. Percentiles of resampled seeds held it in 75 % with 3 seeds.
    assert held / trials >= 0.9 - 0.03


def test_a_dip_in_the_curve_is_evened_out() -> None:
    full = {0: 0.9, 1: 0.9}
    values = {
        size: {0: value, 1: value} for size, value in ((10, 0.5), (100, 0.9), (1_000, 0.7), (10_000, 0.9))
    }
    advice = advise(SizeCurve(values, full, 99_999, False), 0.05)
    # 100 alone is within the tolerance by luck: with 1,000 it averages 0.8.
    assert advice.size is not None and 1_000 < advice.size <= 10_000


@pytest.mark.parametrize("tolerance", [-0.1, math.nan])
def test_an_impossible_tolerance_is_refused(tolerance: float) -> None:
    with pytest.raises(InputError, match="at least 0"):
        advise(_curve(0.0), tolerance)


def test_falling_curves_are_scikit_learns() -> None:
    losses = np.random.default_rng(0).normal(size=(40, 6))
    expected = [isotonic_regression(row, increasing=False) for row in losses]
    assert fall_with_size(losses) == pytest.approx(np.array(expected))
