"""Rank correlations are the textbook's, and the overlap of tops is a share."""

import numpy as np
import pytest

from bioprune_core.ranks import rank_correlation, top_overlap


@pytest.mark.parametrize("count", [2, 10, 1_000])
def test_rank_correlations_are_those_of_scipy(count: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with scikit-learn")
    random = np.random.default_rng(count)
    left = random.integers(0, 20, size=count).astype(float)
    right = left + random.normal(size=count) * 5
    expected = stats.spearmanr(left, right).statistic
    found = rank_correlation(left, right)
    assert (found is None and np.isnan(expected)) or found == pytest.approx(expected)
    assert rank_correlation(left, np.ones(count)) is None


def test_tops_overlap_wholly_with_themselves_and_not_at_all_with_their_reverse() -> None:
    values = np.random.default_rng(1).normal(size=200)
    assert top_overlap(values, 3 * values + 1, 0.1) == 1
    assert top_overlap(values, -values, 0.1) == 0
    assert top_overlap(values, -values, 1) == 1


def test_tops_count_at_least_one() -> None:
    assert top_overlap(np.array([1.0, 2.0]), np.array([0.0, 5.0]), 0.01) == 1
