"""Overlap of two selections and coverage of labels."""

import numpy as np
import pytest

from bioprune_core.errors import SelectionError
from bioprune_core.selection import LabelCoverage, coverage, overlap


def test_overlap_counts_what_is_shared_and_what_only_one_has() -> None:
    found = overlap([5, 1, 2, 9], [2, 3, 5])
    assert (found.both, found.only_first, found.only_second) == (2, 2, 1)
    assert found.jaccard == pytest.approx(0.4)
    assert found.share_of_first == pytest.approx(0.5)


def test_overlap_of_empty_sets_is_whole() -> None:
    found = overlap([], [])
    assert (found.jaccard, found.share_of_first) == (1.0, 1.0)


def test_coverage_sets_a_coreset_beside_its_pool_and_beside_chance() -> None:
    labels = ["a", "b", "a", None, "a", "b"]
    assert coverage(labels, np.array([0, 1, 2])) == [
        LabelCoverage("a", 3, 2, 1.5),
        LabelCoverage("b", 2, 1, 1.0),
        LabelCoverage(None, 1, 0, 0.5),
    ]


def test_positions_outside_the_pool_are_refused() -> None:
    with pytest.raises(SelectionError, match="from 1 to 4"):
        coverage(["a", "b"], np.array([1, 4]))
