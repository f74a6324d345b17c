"""What a draw consists of: the control columns beside its results."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.experiments.pool import UNGROUPED, Pool, parts_of

__all__ = ["CoresetColumns", "average_columns", "describe_draw", "mixture_distance"]


@dataclass(frozen=True, slots=True)
class CoresetColumns:
    """One draw, or the mean over draws, in numbers.

    Args:
        sequences: How many.
        mean_length: In tokens; None for an empty draw.
        near_duplicate_share: Share of the sequences that would go if each cluster kept one; a sequence
            without a cluster is one of its own. None where the pool has no clusters.
        families: Distinct labels. None where the pool has none.
        mixture_distance: Total variation between the draw's and the pool's proportions of the grouping,
            0 (alike) to 1 (nothing in common). None where the pool has no such grouping.
        near_test_share: Share of the sequences that are identical or near-identical to a test sequence. None
            where the pool was not compared with the tests.
    """

    sequences: float
    mean_length: float | None
    near_duplicate_share: float | None
    families: float | None
    mixture_distance: float | None
    near_test_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def describe_draw(positions: NDArray[np.int64], pool: Pool, grouping: str) -> CoresetColumns:
    """The control columns of one draw.

    Args:
        positions: Of the draw in the pool, int64, shape (B,); empty for an untrained network.
        pool: What it was drawn from; "cluster" and "label" of its groups are looked at where they are.
        grouping: Whose mixture is compared with that of everything that may be drawn.
    """
    if not len(positions):
        return CoresetColumns(0, None, None, None, None)
    clusters = pool.groups.get("cluster")
    labels = pool.groups.get("label")
    codes = pool.codes(grouping) if all(part in pool.groups for part in parts_of(grouping)) else None
    return CoresetColumns(
        sequences=len(positions),
        mean_length=float(pool.tokens[positions].mean()),
        near_duplicate_share=None if clusters is None else _near_duplicate_share(clusters[positions]),
        families=None if labels is None else len(np.setdiff1d(labels[positions], [UNGROUPED])),
        mixture_distance=(
            None if codes is None else mixture_distance(codes[positions], codes[pool.eligible])
        ),
        near_test_share=None if pool.near_tests is None else float(pool.near_tests[positions].mean()),
    )


def mixture_distance(drawn: NDArray[np.int64], pool: NDArray[np.int64]) -> float:
    """Total variation between two mixtures: half the sum of absolute differences of their proportions.

    Args:
        drawn: Group codes, int64, shape (B,), B >= 1. No code is a group of its own.
        pool: Group codes, int64, shape (N,), N >= 1.
    """
    groups = np.union1d(drawn, pool)
    proportions = [
        np.bincount(np.searchsorted(groups, codes), minlength=len(groups)) / len(codes)
        for codes in (drawn, pool)
    ]
    return float(np.abs(proportions[0] - proportions[1]).sum() / 2)


def average_columns(draws: Sequence[CoresetColumns]) -> CoresetColumns:
    """Each column's mean over draws; None where a draw has none.

    Raises:
        InputError: There are no draws.
    """
    if not draws:
        raise InputError("There are no draws to average the control columns of.")
    means: dict[str, float | None] = {}
    for name in (field.name for field in fields(CoresetColumns)):
        values = [getattr(draw, name) for draw in draws]
        means[name] = None if None in values else float(np.mean(values))
    return CoresetColumns(**means)  # type: ignore[arg-type]  # sequences are never None


def _near_duplicate_share(clusters: NDArray[np.int64]) -> float:
    alone = np.count_nonzero(clusters == UNGROUPED)
    distinct = len(np.unique(clusters[clusters != UNGROUPED]))
    return float(1 - (alone + distinct) / len(clusters))
