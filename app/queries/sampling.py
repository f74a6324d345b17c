"""Drawing rows so that rare influences are kept: equal shares of buckets of log influence, by hash."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.queries.relation import COLUMNS, bucket_expression, number

__all__ = ["InfluenceBuckets", "sampling_fractions"]

_BUCKETS = 40


@dataclass(frozen=True, slots=True)
class InfluenceBuckets:
    """Buckets of equal width in log influence; influences of 0 have one of their own, the last.

    Args:
        edges: Inner edges, ascending.
    """

    edges: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.edges) + 2

    @classmethod
    def over(cls, positive_low: float, high: float) -> "InfluenceBuckets":
        """Forty buckets between the smallest influence above zero and the largest."""
        if not 0 < positive_low < high:
            return cls(())
        return cls(tuple(np.geomspace(positive_low, high, _BUCKETS + 1)[1:-1].tolist()))

    def choose(self, leaves: list[str]) -> str:
        """A SQL expression that is one of `leaves` by a row's bucket."""
        tree = bucket_expression(COLUMNS["influence"], self.edges, leaves[:-1])
        return f"CASE WHEN {COLUMNS['influence']} > 0 THEN {tree} ELSE {leaves[-1]} END"

    @property
    def index(self) -> str:
        """A SQL expression of a row's bucket."""
        return self.choose([str(index) for index in range(len(self))])

    def drawn(self, fractions: NDArray[np.float64]) -> str:
        """A SQL condition that draws each bucket's share; the same rows every time, in one pass.

        A row is drawn when the low half of its sequence hash stays under its bucket's share.
        """
        shares = self.choose([number(share * 2**32) for share in fractions])
        return f"({COLUMNS['hash']} & 4294967295) < {shares}"


def sampling_fractions(counts: NDArray[np.int64], limit: int) -> NDArray[np.float64]:
    """Which share of every bucket to draw so that about `limit` rows are drawn, the small buckets whole.

    The same rule as a coreset's budget over strata: visit buckets from the smallest, give each an equal
    share of what is left, so that the tails are seen and the bulk is thinned. Where not all rows fit, three
    standard deviations are kept free: hash shares hit their aim on average only.
    """
    total = int(counts.sum())
    remaining = total if total <= limit else max(1, limit - int(3 * limit**0.5))
    fractions = np.zeros(len(counts))
    order = np.argsort(counts, kind="stable")
    for place, bucket in enumerate(order):
        drawn = min(int(counts[bucket]), remaining // (len(order) - place))
        remaining -= drawn
        fractions[bucket] = drawn / counts[bucket] if counts[bucket] else 0.0
    return fractions
