"""Batches hold every row once, keep the budget, and depend on nothing but their arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioprune_core.models import TokenBlock, pad_batch, plan_batches

LENGTHS = st.lists(st.integers(2, 300), max_size=200)


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 16), st.sampled_from([1, 8, 64]))
def test_every_row_once_under_the_budget(
    lengths: list[int], budget: int, row_multiple: int, token_multiple: int
) -> None:
    array = np.array(lengths, dtype=np.int64)
    batches = plan_batches(array, budget, row_multiple, token_multiple)
    assert sorted(np.concatenate([*batches, np.empty(0, np.int64)]).tolist()) == list(range(len(lengths)))
    longest = [int(array[rows].max()) for rows in batches]
    assert longest == sorted(longest, reverse=True)
    for number, rows in enumerate(batches):
        padded = -(-int(array[rows].max()) // token_multiple) * token_multiple
        assert len(rows) == 1 or len(rows) * padded <= budget
        full = number < len(batches) - 1 and len(rows) > row_multiple
        assert not full or len(rows) % row_multiple == 0


def test_the_plan_is_the_same_every_time_and_keeps_the_order_of_equal_lengths() -> None:
    lengths = np.array([5, 9, 5, 9, 5])
    batches = plan_batches(lengths, 18)
    assert [rows.tolist() for rows in batches] == [[1, 3], [0, 2, 4]]


def test_a_hundred_thousand_lengths_waste_little() -> None:
    lengths = np.random.default_rng(0).integers(30, 400, 100_000)
    batches = plan_batches(lengths, 8192)
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in batches)
    assert padded < 1.01 * lengths.sum()


@pytest.mark.parametrize("arguments", [(0, 1, 1), (8, 0, 1), (8, 1, 0)])
def test_bounds_below_one_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        plan_batches(np.array([3]), *arguments)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.data())
def test_taking_rows_gives_those_tokens_in_that_order(lengths: list[int], data: st.DataObject) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.random.default_rng(1).integers(4, 24, offsets[-1]).astype(np.int16)
    block = TokenBlock(tokens, offsets, truncated=2)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=30))
    taken = block.take(np.array(rows, dtype=np.int64))
    assert [taken.sequence(row).tolist() for row in range(len(taken))] == [
        block.sequence(row).tolist() for row in rows
    ]
    assert (taken.tokens.dtype, taken.offsets.dtype, taken.truncated) == (np.int16, np.int64, 0)


@given(st.lists(st.integers(2, 30), min_size=1, max_size=20), st.sampled_from([1, 8]), st.randoms())
def test_padding_puts_every_token_in_its_place(lengths: list[int], multiple: int, chance: object) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.random.default_rng(1).integers(4, 24, offsets[-1]).astype(np.int16)
    block = TokenBlock(tokens, offsets)
    rows = np.random.default_rng(2).permutation(len(lengths))[: max(1, len(lengths) // 2)]
    batch = pad_batch(block, rows, pad_id=1, token_multiple=multiple)
    assert batch.tokens.shape == batch.attention_mask.shape
    assert batch.tokens.shape[1] % multiple == 0
    assert batch.tokens.shape[1] - max(lengths[row] for row in rows) < multiple
    for place, row in enumerate(rows):
        assert batch.tokens[place, : lengths[row]].tolist() == block.sequence(row).tolist()
        assert batch.tokens[place, lengths[row] :].eq(1).all()
        assert int(batch.attention_mask[place].sum()) == lengths[row]
        assert batch.attention_mask[place, : lengths[row]].all()
    assert batch.rows.tolist() == rows.tolist()
