"""Bootstrap confidence intervals over sequences or groups."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "bootstrap"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bootstrap interval (percentiles); NaN where nothing varied.

    Args:
        value: From all units.
        low: Lower end, a percentile over the resamples.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return "not defined"
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"

    def to_json(self) -> dict[str, float | None]:
        """The fields as JSON values; None for what is not defined."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, float | None]) -> "Interval":
        """The interval that `to_json` wrote."""
        return cls(**{name: math.nan if each is None else each for name, each in value.items()})


def bootstrap(
    statistics: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    units: int,
    resamples: int,
    seed: int,
    levels: Sequence[float],
) -> list[Interval]:
    """Intervals of several statistics from the same resamples, so that their differences are paired.

    Args:
        statistics: From rows of the units (with repeats) to the statistics, shape (s,).
        units: How many units there are, >= 1.
        resamples: How often to draw as many, with replacement.
        seed: Of the draws.
        levels: Of each statistic's interval, such as 0.95, length s.

    Returns:
        One for each statistic.
    """
    random = np.random.default_rng(seed)
    values = statistics(np.arange(units))
    drawn = np.stack([statistics(random.integers(0, units, size=units)) for _ in range(resamples)])
    return [
        _interval(float(value), column, level)
        for value, column, level in zip(values, drawn.T, levels, strict=True)
    ]


def _interval(value: float, drawn: NDArray[np.float64], level: float) -> Interval:
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
