"""Means over seeds and paired differences, with intervals that hold for few seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["Comparison", "Result", "Summary", "bootstrap_interval", "compare", "summarise"]

# Of the values that are subtracted: differences that differ by less differ by rounding.
_ROUNDING = 1e-9
_RESAMPLES = 10_000


class Result(StrEnum):
    """What a paired difference says, by its interval, corrected for the number of comparisons."""

    WIN = "win"
    TIE = "tie"
    """An interval covers zero. This is not evidence that there is no difference."""
    LOSS = "loss"
    UNKNOWN = "unknown"
    """Fewer than two pairs, or too few whose differences are all equal."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Values over seeds.

    Args:
        count: How many are in mean and standard deviation.
        mean: None for none.
        sd: Of the sample, with n - 1; None for fewer than two.
    """

    count: int
    mean: float | None
    sd: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The paired difference of an arm to another, by seed: arm minus other, in the metric's own unit.

    Args:
        pairs: Seeds with a value on both sides.
        missing: Sentences on the seeds left out.
        mean: Mean difference; None without pairs.
        sd: Standard deviation of the differences; None for fewer than two.
        level: Confidence of the intervals, after the correction.
        comparisons: How many the level is corrected for.
        low: Lower end of the bootstrap interval; None for fewer than two pairs, and where all differences are
            equal but not zero.
        high: Upper end.
        t_low: Lower end of the t interval; None where there is no bootstrap interval.
        t_high: Upper end.
        result: Of the arm: win where it is better.
    """

    pairs: int
    missing: tuple[str, ...]
    mean: float | None
    sd: float | None
    level: float
    comparisons: int
    low: float | None
    high: float | None
    t_low: float | None
    t_high: float | None
    result: Result

    @property
    def outer(self) -> tuple[float | None, float | None]:
        """What covers both intervals, by which the result is told; (None, None) where there is none."""
        if self.low is None or self.high is None or self.t_low is None or self.t_high is None:
            return None, None
        return min(self.low, self.t_low), max(self.high, self.t_high)

    @property
    def is_equal(self) -> bool:
        """Whether all of two or more differences are equal and not zero, so that no interval has a width."""
        return self.pairs > 1 and self.low is None


def summarise(values: Sequence[float]) -> Summary:
    """Mean and standard deviation of finite values.

    Raises:
        ValueError: A value is not finite; those are to be counted as failed, not averaged.
    """
    column = np.asarray(values, dtype=np.float64)
    if not np.isfinite(column).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(column))} values to summarise are not finite.")
    return Summary(
        len(column),
        float(column.mean()) if len(column) else None,
        float(column.std(ddof=1)) if len(column) > 1 else None,
    )


def bootstrap_interval(
    values: NDArray[np.float64], level: float, seed: int, resamples: int = _RESAMPLES
) -> tuple[float, float]:
    """The expanded percentile interval of a mean: percentiles of resampled means at wider tails.

    The plain percentile interval of n values is too narrow by about sqrt((n - 1) / n) and by the normal in
    place of the t quantile, and BCa shares that. Percentiles at Phi(-sqrt(n / (n - 1)) t(a, n - 1)) in place
    of a undo both. Coverage of a mean of normal values at a nominal 95 %, 1,500 trials each:
    n = 5: percentile 83.7, BCa 83.9, expanded 91.7; n = 10: 89.1, 88.8, 93.1; n = 20: 92.9, 93.2, 95.3.
    No resampled mean leaves the range of the values, so five differences of one sign, which chance gives in
    1 of 16 cases, exclude zero at every level: see `compare`.

    Args:
        values: float64, shape (n,), n >= 2.
        level: Two-sided confidence, 0 < level < 1.
        seed: Of the resamples.
        resamples: How many.

    Returns:
        Lower and upper end.

    Source: Hesterberg 2015, arXiv 1411.5279, section 3.3.
    """
    count = len(values)
    random = np.random.default_rng(seed)
    means = values[random.integers(0, count, size=(resamples, count))].mean(axis=1)
    tail = float(stats.norm.cdf(math.sqrt(count / (count - 1)) * stats.t.ppf((1 - level) / 2, count - 1)))
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def compare(
    arm: Mapping[int, float],
    other: Mapping[int, float],
    seeds: Sequence[int],
    lower_is_better: bool,
    comparisons: int = 1,
    confidence: float = 0.95,
    bootstrap_seed: int = 0,
) -> Comparison:
    """The paired difference of two arms over the seeds that both have.

    The level is Bonferroni's, 1 - (1 - confidence) / comparisons: all intervals of a table hold together,
    which Holm's steps do not give for intervals. A bootstrap interval of few pairs cannot reach such levels
    (of 10 null differences at 99.75 % 1 % exclude zero), so the t interval (it assumes that differences
    between seeds are normally distributed) stands beside it, and a win or a loss needs both to exclude zero.

    Metrics come in steps of one test example, so differences of several seeds may be equal. Their spread then
    says nothing, and there is no interval; the exact sign test decides: if neither were better, n differences
    would have one sign with a probability of 2 ** (1 - n), so five are told at 90 %, six at 95 %.

    Args:
        arm: Finite values by seed; failed and missing seeds are absent.
        other: As `arm`.
        seeds: All seeds of the experiment; those without a pair are named.
        lower_is_better: Whether a negative difference is a win.
        comparisons: How many arms are compared with `other`.
        confidence: Of all of them together.
        bootstrap_seed: Of the resamples.
    """
    paired = [seed for seed in seeds if seed in arm and seed in other]
    missing = _without_pair([seed for seed in seeds if seed not in paired], arm, other)
    level = 1 - (1 - confidence) / max(1, comparisons)
    differences = np.array([arm[seed] - other[seed] for seed in paired], dtype=np.float64)
    summary = summarise(differences.tolist())
    count, mean, sd = summary.count, summary.mean, summary.sd
    if mean is None or sd is None:
        return Comparison(
            count, missing, mean, None, level, comparisons, None, None, None, None, Result.UNKNOWN
        )
    rounding = _ROUNDING * max(abs(side[seed]) for side in (arm, other) for seed in paired)
    if np.ptp(differences) <= rounding:
        if abs(mean) > rounding:
            return _equal(count, mean, missing, level, comparisons, lower_is_better)
        differences[:] = mean = sd = 0.0
    low, high = bootstrap_interval(differences, level, bootstrap_seed)
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * sd / math.sqrt(count)
    t_low, t_high = mean - half, mean + half
    result = _result(min(low, t_low), max(high, t_high), lower_is_better)
    return Comparison(count, missing, mean, sd, level, comparisons, low, high, t_low, t_high, result)


def _equal(
    count: int,
    mean: float,
    missing: tuple[str, ...],
    level: float,
    comparisons: int,
    lower_is_better: bool,
) -> Comparison:
    """What is told of equal differences: by their number, as all have one sign."""
    # 1 - 0.9 lies below 0.1, and 2 ** -n may be the very bound.
    told = 2.0 ** (1 - count) <= (1 - level) * (1 + 1e-9)
    result = _result(mean, mean, lower_is_better) if told else Result.UNKNOWN
    return Comparison(count, missing, mean, 0.0, level, comparisons, None, None, None, None, result)


def _without_pair(
    seeds: Sequence[int], arm: Mapping[int, float], other: Mapping[int, float]
) -> tuple[str, ...]:
    """Why these seeds make no pair, a sentence for each reason."""
    reasons: dict[str, list[str]] = {}
    for seed in seeds:
        lacking = "this arm has no value" if seed in other else "neither arm has a value"
        reasons.setdefault("the other arm has no value" if seed in arm else lacking, []).append(str(seed))
    return tuple(
        f"seed{'s' if len(which) > 1 else ''} {', '.join(which)}: {reason}"
        for reason, which in reasons.items()
    )


def _result(low: float, high: float, lower_is_better: bool) -> Result:
    if low <= 0 <= high:
        return Result.TIE
    return Result.LOSS if (low > 0) is lower_is_better else Result.WIN
