"""Scores and ids that allow no selection are refused alike by arrays and by tables."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.selection import SelectionConfig, select, select_in_duckdb, stratum_counts


def table(scores: list[float | None]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    count = len(scores)
    columns = {
        "position": pa.array(range(count), pa.int64()),
        "hash": pa.array(range(count), pa.uint64()),
        "influence": pa.array(scores, pa.float64()),
    }
    connection.register("scores", pa.table(columns))
    return connection


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("strategy", ["coverage_centric", "top_influence", "random"])
def test_scores_that_are_not_finite_are_refused_with_their_count(bad: float, strategy: str) -> None:
    scores = [1.0, bad, 2.0, bad, 3.0]
    with pytest.raises(SelectionError, match="2 of 5"):
        select(scores, strategy)
    with pytest.raises(SelectionError, match="2 of 5"):
        select_in_duckdb(table(scores), SelectionConfig(strategy))  # type: ignore[arg-type]


def test_mixed_infinities_and_nan_are_all_counted() -> None:
    with pytest.raises(SelectionError, match="3 of 5"):
        select([float("inf"), -float("inf"), float("nan"), 1.0, 2.0])


def test_missing_scores_in_a_table_are_refused() -> None:
    with pytest.raises(SelectionError, match="1 of 3"):
        stratum_counts(table([1.0, None, 2.0]), SelectionConfig())


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(SelectionError, match="no scores"):
        select([])
    with pytest.raises(SelectionError, match="no scores"):
        stratum_counts(table([]), SelectionConfig())


def test_one_sequence_is_selected() -> None:
    assert select([0.5]).tolist() == [0]
    assert select_in_duckdb(table([0.5]), SelectionConfig()).fetchnumpy()["position"].tolist() == [0]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([1, 2], "2 ids for 3 scores"),
        ([1, 2, 2], "1 of 3 ids"),
        (["a", "b", "a"], "1 of 3 ids"),
        ([0.5, 1.5, 2.5], "float64"),
        ([[1], [2], [3]], "ids for 3 scores"),
    ],
)
def test_ids_that_do_not_tell_sequences_apart_are_refused(ids: list[object], words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        select([1.0, 2.0, 3.0], ids=ids)


def test_scores_that_are_no_numbers_or_no_list_are_refused() -> None:
    with pytest.raises(SelectionError, match="not all numbers"):
        select(["a", "b"])
    with pytest.raises(SelectionError, match="2 dimensions"):
        select([[1.0, 2.0]])


def test_the_length_control_needs_lengths() -> None:
    with pytest.raises(SelectionError, match="needs `lengths`"):
        select([1.0, 2.0], "length_stratified")
    with pytest.raises(SelectionError, match="3 lengths for 2 scores"):
        select([1.0, 2.0], "length_stratified", lengths=[1, 2, 3])
    with pytest.raises(SelectionError, match="1 of 2 influence"):
        select([1.0, float("nan")], "length_stratified", lengths=[1, 2])


def test_a_view_is_named_and_never_spliced_in() -> None:
    with pytest.raises(SelectionError, match="no name of a view"):
        stratum_counts(table([1.0]), SelectionConfig(), source="scores; DROP TABLE scores")


@pytest.mark.parametrize("names", [np.array(["x", "yy", "z"]), ["x", "yy", "z"]])
def test_text_ids_order_ties_by_their_hash(names: list[str] | NDArray[np.str_]) -> None:
    first = select([1.0, 1.0, 1.0], "top_influence", 50, ids=names)
    backwards = select([1.0, 1.0, 1.0], "top_influence", 50, ids=list(names)[::-1])
    assert sorted(2 - backwards) == sorted(first)


def test_integers_32_bit_floats_and_negative_ids_are_accepted() -> None:
    assert select([3, 1, 2], "top_influence", 50).tolist() == [0, 2]
    assert select(np.array([3, 1, 2], dtype=np.float32), "bottom_influence", 50).tolist() == [1, 2]
    assert len(select([3, 1, 2], "random", 50, ids=np.array([-1, 0, 1]))) == 2
