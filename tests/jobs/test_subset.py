import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioprune_core.errors import InputError
from bioprune_core.jobs import subset as subset_module
from bioprune_core.jobs.subset import draw_groups, draw_subset


def hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 64, size=count, dtype=np.uint64)


def by_sorting(pool: np.ndarray, seed: int) -> np.ndarray:
    """All positions in the order of the draw, by one sort of the whole pool."""
    return np.lexsort((np.arange(len(pool)), subset_module._mix(pool, seed)))


@given(
    count=st.integers(1, 300),
    size=st.integers(1, 300),
    held_out=st.integers(0, 300),
    seed=st.integers(0, 1 << 62),
)
@settings(max_examples=60, deadline=None)
def test_draws_are_disjoint_sorted_and_of_the_size_asked_for(
    count: int, size: int, held_out: int, seed: int
) -> None:
    size = min(size, count)
    drawn = draw_subset([hashes(count)], size, held_out, seed)
    assert len(drawn.subset) == size
    assert len(drawn.held_out) == min(held_out, count - size)
    both = np.concatenate([drawn.subset, drawn.held_out])
    assert len(np.unique(both)) == len(both)
    assert both.min() >= 0
    assert both.max() < count
    for positions in (drawn.subset, drawn.held_out):
        assert (np.diff(positions) > 0).all()


def test_the_draw_does_not_depend_on_the_order_of_the_pool() -> None:
    pool = hashes(1_000)
    order = np.random.default_rng(1).permutation(len(pool))
    one, other = draw_subset([pool], 100, 50, 7), draw_subset([pool[order]], 100, 50, 7)
    assert set(pool[one.subset]) == set(pool[order][other.subset])
    assert set(pool[one.held_out]) == set(pool[order][other.held_out])


@pytest.mark.parametrize("block", [1, 64, 1_000])
@pytest.mark.parametrize("sizes", [(100, 50), (0, 0), (3, 0), (700, 700)])
def test_the_draw_does_not_depend_on_blocks_nor_on_what_is_held(
    monkeypatch: pytest.MonkeyPatch, block: int, sizes: tuple[int, int]
) -> None:
    pool = hashes(1_000)
    pool[500:] = pool[:500]  # Equal sequences have equal keys.
    monkeypatch.setattr(subset_module, "_SPARE", 10)
    blocks = (pool[start : start + block] for start in range(0, len(pool), block))
    groups = draw_groups(blocks, sizes, 7)
    order = by_sorting(pool, 7)
    assert groups[0].tolist() == sorted(order[: sizes[0]])
    assert groups[1].tolist() == sorted(order[sizes[0] : sum(sizes)])


def test_a_draw_from_many_blocks_holds_no_more_than_it_needs() -> None:
    def blocks() -> Iterator[np.ndarray]:
        for number in range(60):
            yield hashes(1 << 18, number)

    tracemalloc.start()
    drawn = draw_subset(blocks(), 1_000, 1_000, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(drawn.subset) == 1_000
    # All hashes take 126 MB; the draw holds a million keys and positions and sorts them.
    assert peak < 80e6


def test_smaller_subsets_are_part_of_larger_ones_and_seeds_differ() -> None:
    pool = hashes(1_000)
    small, large = draw_subset([pool], 50, 0, 3), draw_subset([pool], 200, 0, 3)
    assert set(small.subset) < set(large.subset)
    other = draw_subset([pool], 200, 0, 4)
    assert 20 < len(set(large.subset) & set(other.subset)) < 60  # 40 by chance.


def test_every_sequence_is_drawn_equally_often() -> None:
    pool = hashes(50)
    counts = np.zeros(50)
    for seed in range(2_000):
        counts[draw_subset([pool], 10, 0, seed).subset] += 1
    # Mean 400, standard deviation 18; five of them.
    assert abs(counts - 400).max() < 90


def test_a_subset_larger_than_the_pool_is_refused_with_the_bound() -> None:
    with pytest.raises(InputError, match=r"101 sequences, but the pool has 100\. Choose between 1 and 100"):
        draw_subset([hashes(100)], 101, 0, 0)
    with pytest.raises(InputError, match="Choose at least 1"):
        draw_subset([hashes(100)], 0, 0, 0)
