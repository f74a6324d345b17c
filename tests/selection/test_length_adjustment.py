"""Length-adjusted influence: what it is, and the same over arrays and over DuckDB."""

from dataclasses import replace
from decimal import Decimal
from unittest import mock

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.ranks import rank_correlation
from bioprune_core.selection import (
    Measure,
    SelectionConfig,
    StrataKind,
    Strategy,
    fit_length_adjustment,
    planning,
    profile_scores,
    score_sql,
    select,
    select_in_duckdb,
    select_sql,
    select_with_rule,
    stratum_counts,
)

Pool = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint64]]
ADJUSTED = SelectionConfig(measure=Measure.LENGTH_ADJUSTED)
SCORES = st.one_of(st.floats(1e-12, 1e6), st.just(0.0), st.integers(1, 4).map(float))


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    influence = draw(st.lists(SCORES, min_size=1, max_size=100).filter(lambda scores: max(scores) > 0))
    count = len(influence)
    lengths = draw(st.lists(st.integers(1, 1_024), min_size=count, max_size=count))
    ids = draw(st.lists(st.integers(0, 2**64 - 1), min_size=count, max_size=count, unique=True))
    return np.array(influence), np.array(lengths, dtype=np.float64), np.array(ids, dtype=np.uint64)


@st.composite
def configs(draw: st.DrawFn) -> SelectionConfig:
    cut, rate = sorted([draw(st.integers(0, 99)), draw(st.integers(0, 99))])
    return SelectionConfig(
        strategy=draw(st.sampled_from([s for s in Strategy if s is not Strategy.LENGTH_STRATIFIED])),
        prune_rate=Decimal(rate),
        hardest_cut=Decimal(cut),
        strata=draw(st.integers(1, 20)),
        strata_kind=draw(st.sampled_from([kind for kind in StrataKind if kind is not StrataKind.LOG_WIDTH])),
        seed=draw(st.integers(0, 99)),
        measure=Measure.LENGTH_ADJUSTED,
    )


def skewed(count: int, seed: int = 0) -> Pool:
    random = np.random.default_rng(seed)
    lengths = random.integers(20, 1_000, count)
    influence = lengths**-0.7 * np.exp(random.normal(size=count))
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    return influence, lengths.astype(np.float64), hashes


def view(pool: Pool) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    influence, lengths, hashes = pool
    columns = {"position": np.arange(len(hashes)), "hash": hashes, "influence": influence}
    connection.register("scores", pa.table({**columns, "tokens": lengths.astype(np.int32)}))
    return connection


def column(connection: duckdb.DuckDBPyConnection) -> NDArray[np.float64]:
    text = f"SELECT {score_sql(connection, ADJUSTED)} AS score FROM scores ORDER BY position"
    return np.asarray(connection.sql(text).fetchnumpy()["score"], dtype=np.float64)


@given(pools())
@settings(max_examples=80, deadline=None)
def test_the_column_is_the_same_in_numpy_and_in_duckdb(pool: Pool) -> None:
    influence, lengths, _ = pool
    connection = view(pool)
    adjustment = fit_length_adjustment(influence, lengths)
    assert profile_scores(connection, ADJUSTED).adjustment == adjustment
    assert column(connection).tolist() == adjustment.apply(influence, lengths).tolist()


def test_the_column_is_the_same_for_two_hundred_thousand_rows() -> None:
    pool = skewed(200_000)
    adjustment = fit_length_adjustment(pool[0], pool[1])
    np.testing.assert_array_equal(column(view(pool)), adjustment.apply(pool[0], pool[1]))


@given(pools(), configs())
@settings(max_examples=60, deadline=None)
def test_duckdb_selects_what_arrays_select(pool: Pool, config: SelectionConfig) -> None:
    influence, lengths, hashes = pool
    positions, rule = select_with_rule(influence, config, hashes, lengths)
    connection = view(pool)
    for profile in (None, profile_scores(connection, config)):
        for most in (planning.MOST_CANDIDATES, -1):
            with mock.patch.object(planning, "MOST_CANDIDATES", most):
                found = select_in_duckdb(connection, config, profile=profile).fetchnumpy()["position"]
            assert found.tolist() == positions.tolist()
        assert stratum_counts(connection, config, profile=profile) == rule.occupancy.summary
        condition = select_sql(connection, config, profile=profile)
        flags = connection.sql(f"SELECT {condition} AS chosen FROM scores ORDER BY position").fetchnumpy()
        assert np.flatnonzero(flags["chosen"]).tolist() == positions.tolist()


@given(pools(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_does_not_matter(pool: Pool, random: st.randoms) -> None:
    influence, lengths, _ = pool
    order = np.arange(len(influence))
    random.shuffle(order)
    assert fit_length_adjustment(influence, lengths) == fit_length_adjustment(
        influence[order], lengths[order]
    )


def test_the_line_is_that_of_least_squares_and_the_rest_knows_no_length() -> None:
    influence, lengths, _ = skewed(5_000)
    adjustment = fit_length_adjustment(influence, lengths)
    slope, intercept = np.polyfit(np.log(lengths), np.log(influence), 1)
    assert adjustment.slope == pytest.approx(slope, abs=1e-6)
    assert adjustment.intercept == pytest.approx(intercept, abs=5e-6)
    residual = adjustment.apply(influence, lengths)
    assert abs(np.corrcoef(residual, np.log(lengths))[0, 1]) < 1e-4
    assert abs(residual.mean()) < 1e-4
    before = rank_correlation(influence, lengths)
    after = rank_correlation(residual, lengths)
    assert before is not None and after is not None and abs(after) < 0.05 < 0.3 < abs(before)


def test_equal_lengths_keep_the_order_of_influence() -> None:
    influence = np.array([3.0, 0.0, 1.0, 10.0])
    adjustment = fit_length_adjustment(influence, np.full(4, 50.0))
    assert adjustment.slope == 0
    # The zero counts as the smallest influence above zero.
    assert adjustment.apply(influence, np.full(4, 50.0))[[1, 0, 3]].tolist() == sorted(
        adjustment.apply(influence, np.full(4, 50.0))[[2, 0, 3]].tolist()
    )


def test_controls_without_a_score_are_what_they_were() -> None:
    influence, lengths, hashes = skewed(200)
    for strategy in (Strategy.RANDOM, Strategy.LENGTH_STRATIFIED):
        plain = SelectionConfig(strategy, seed=3)
        measured = replace(plain, measure=Measure.LENGTH_ADJUSTED)
        one, other = (select_with_rule(influence, c, hashes, lengths)[0] for c in (plain, measured))
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize(
    ("influence", "lengths", "words"),
    [
        ([1.0, -1.0], [5, 5], "1 of 2 influence scores are negative"),
        ([1.0, 2.0], [5, 0], "1 of 2 lengths are below 1"),
        ([0.0, 0.0], [5, 7], "No influence score is above 0"),
        ([1.0, np.nan], [5, 7], "1 of 2 influence scores are missing"),
        ([np.inf, np.nan], [5, 7], "2 of 2 influence scores are missing"),
    ],
)
def test_what_has_no_logarithm_is_refused(influence: list[float], lengths: list[int], words: str) -> None:
    pool = (np.array(influence), np.array(lengths, dtype=np.float64), np.arange(2, dtype=np.uint64))
    with pytest.raises(SelectionError, match=words):
        select(pool[0], measure="length-adjusted", lengths=pool[1])
    with pytest.raises(SelectionError, match=words):
        profile_scores(view(pool), ADJUSTED)


def test_it_needs_lengths() -> None:
    with pytest.raises(SelectionError, match="length-adjusted needs `lengths`"):
        select([1.0, 2.0], measure="length-adjusted")


def test_the_measure_goes_there_and_back_and_older_configurations_had_none() -> None:
    assert SelectionConfig.from_json(ADJUSTED.to_json()) == ADJUSTED
    older = {name: value for name, value in SelectionConfig().to_json().items() if name != "measure"}
    assert SelectionConfig.from_json(older).measure is Measure.INFLUENCE
    with pytest.raises(SelectionError, match="measure 'size'"):
        SelectionConfig(measure="size")  # type: ignore[arg-type]
