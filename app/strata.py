"""Strata of influence as pictures and queries use them: edges, and the cut above which beta removes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.formatting import amount

__all__ = ["REMOVED", "Strata"]

REMOVED = "removed"
"""The name of the bucket above the cut."""


@dataclass(frozen=True, slots=True)
class Strata:
    """k strata over the kept part of a run's influences.

    Args:
        edges: Ascending, k + 1 of them; stratum i is [edges[i], edges[i + 1]), the last one closed.
        has_removed: Whether the hardest cut takes away what lies above the last edge. Rows that tie with
            the last edge may be on either side in a selection; in pictures they count as kept.
    """

    edges: tuple[float, ...]
    has_removed: bool = False

    def __post_init__(self) -> None:
        if len(self.edges) < 2 or any(low > high for low, high in pairwise(self.edges)):
            raise ValueError(f"strata need at least two ascending edges, not {self.edges}")

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def buckets(self) -> int:
        """Strata, and one more for what is removed."""
        return len(self) + self.has_removed

    @property
    def inner_edges(self) -> list[float]:
        """Edges between buckets: bucket i holds inner[i - 1] <= influence < inner[i]."""
        inner = list(self.edges[1:-1])
        # Closed above: the first double beyond the last edge begins what is removed.
        return [*inner, math.nextafter(self.edges[-1], math.inf)] if self.has_removed else inner

    @property
    def names(self) -> list[str]:
        """Stratum numbers from 1 as text, then REMOVED if there is such a bucket."""
        numbers = [str(index + 1) for index in range(len(self))]
        return [*numbers, REMOVED] if self.has_removed else numbers

    @property
    def intervals(self) -> list[str]:
        """The influences of each bucket, for hovering."""
        bounds = [f"{amount(low)} to {amount(high)}" for low, high in pairwise(self.edges)]
        return [*bounds, f"above {amount(self.edges[-1])}"] if self.has_removed else bounds

    @classmethod
    def merged(cls, edges: Sequence[float], groups: int, has_removed: bool = False) -> "Strata":
        """At most `groups` strata by joining neighbours, for small multiples."""
        count = len(edges) - 1
        step = max(1, math.ceil(count / groups))
        kept = [*range(0, count, step), count]
        return cls(tuple(edges[index] for index in kept), has_removed)
