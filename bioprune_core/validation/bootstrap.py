"""Bootstrap confidence intervals over sequences or groups."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "bootstrap"]

_TAILS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % bootstrap interval (percentiles).

    Args:
        value: From all units.
        low: 2.5th percentile over the resamples.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float


def bootstrap(
    statistics: Callable[[NDArray[np.int64]], NDArray[np.float64]], units: int, resamples: int, seed: int
) -> list[Interval]:
    """Intervals of several statistics from the same resamples, so that their differences are paired.

    Args:
        statistics: From rows of the units (with repeats) to the statistics, shape (s,).
        units: How many units there are, >= 1.
        resamples: How often to draw as many, with replacement.
        seed: Of the draws.

    Returns:
        One for each statistic.
    """
    random = np.random.default_rng(seed)
    values = statistics(np.arange(units))
    drawn = np.stack([statistics(random.integers(0, units, size=units)) for _ in range(resamples)])
    low, high = np.nanpercentile(drawn, _TAILS, axis=0)
    return [Interval(float(value), float(a), float(b)) for value, a, b in zip(values, low, high, strict=True)]
