"""What holds for every selection, over arrays and over DuckDB."""

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
from oracle import plain_select

from bioprune_core.selection import (
    SelectionConfig,
    StrataKind,
    Strategy,
    planning,
    select,
    select_in_duckdb,
    select_sql,
    select_with_rule,
    stratum_counts,
)

SCORES = st.one_of(
    st.floats(-1e6, 1e6),
    st.floats(0, 1e3),
    st.integers(0, 5).map(float),
    st.floats(0, 8).map(lambda power: 10.0**power),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300),
)
RATES = st.decimals(0, 100, places=3).filter(lambda rate: rate < 100)


@st.composite
def pools(draw: st.DrawFn, non_negative: bool = False) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    scores = draw(st.lists(SCORES, min_size=1, max_size=120))
    ids = draw(st.lists(st.integers(0, 2**64 - 1), min_size=len(scores), max_size=len(scores), unique=True))
    values = np.array(scores, dtype=np.float64)
    return (np.abs(values) if non_negative else values), np.array(ids, dtype=np.uint64)


@st.composite
def configs(draw: st.DrawFn) -> SelectionConfig:
    rates = sorted([draw(RATES), draw(RATES)])
    return SelectionConfig(
        strategy=draw(st.sampled_from(Strategy)),
        prune_rate=rates[1],
        hardest_cut=rates[0],
        strata=draw(st.integers(1, 60)),
        strata_kind=draw(st.sampled_from(StrataKind)),
        seed=draw(st.integers(0, 2**40)),
    )


def array_select(
    scores: NDArray[np.float64], hashes: NDArray[np.uint64], config: SelectionConfig
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    positions, rule = select_with_rule(scores, config, hashes, lengths=scores)
    return positions, rule.occupancy.strata.edges


def view(scores: NDArray[np.float64], hashes: NDArray[np.uint64]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    positions = np.arange(len(scores))
    columns = {"position": positions, "hash": hashes, "influence": scores, "tokens": scores}
    connection.register("scores", pa.table(columns))
    return connection


@given(pools(non_negative=True), configs())
@settings(max_examples=80, deadline=None)
def test_equals_the_method_as_written(
    pool: tuple[NDArray[np.float64], NDArray[np.uint64]], config: SelectionConfig
) -> None:
    scores, hashes = pool
    positions, edges = array_select(scores, hashes, config)
    explicit = None if config.strata_kind is StrataKind.EQUAL_WIDTH else edges
    assert positions.tolist() == plain_select(scores, hashes, config, explicit)


@given(pools(), configs().filter(lambda config: config.strata_kind is StrataKind.EQUAL_WIDTH))
@settings(max_examples=100, deadline=None)
def test_equals_the_method_as_written_with_negative_scores(
    pool: tuple[NDArray[np.float64], NDArray[np.uint64]], config: SelectionConfig
) -> None:
    if config.strategy is Strategy.LENGTH_STRATIFIED:
        config = replace(config, strategy=Strategy.COVERAGE_CENTRIC)
    scores, hashes = pool
    assert array_select(scores, hashes, config)[0].tolist() == plain_select(scores, hashes, config)


@given(pools(non_negative=True), configs())
@settings(max_examples=40, deadline=None)
def test_duckdb_selects_what_arrays_select(
    pool: tuple[NDArray[np.float64], NDArray[np.uint64]], config: SelectionConfig
) -> None:
    scores, hashes = pool
    positions, rule = select_with_rule(scores, config, hashes, lengths=scores)
    connection = view(scores, hashes)
    for most in (planning.MOST_CANDIDATES, -1):
        # Below 0, members are found by the rule instead of by fetching a surplus.
        with mock.patch.object(planning, "MOST_CANDIDATES", most):
            found = select_in_duckdb(connection, config).fetchnumpy()
        assert found["position"].tolist() == positions.tolist()
        assert found["hash"].tolist() == hashes[positions].tolist()
    if config.strategy is not Strategy.LENGTH_STRATIFIED:
        plain = {name: getattr(config, name) for name in ("prune_rate", "hardest_cut", "strata", "seed")}
        again = select(scores, config.strategy, **plain, ids=hashes, strata_kind=config.strata_kind)
        assert again.tolist() == positions.tolist()
    assert stratum_counts(connection, config) == rule.occupancy.summary
    condition = select_sql(connection, config)
    flags = connection.sql(f"SELECT {condition} AS chosen FROM scores ORDER BY position").fetchnumpy()[
        "chosen"
    ]
    assert np.flatnonzero(flags).tolist() == positions.tolist()


@given(pools(non_negative=True), configs())
@settings(max_examples=100, deadline=None)
def test_size_is_exact_and_budgets_are_what_is_taken(
    pool: tuple[NDArray[np.float64], NDArray[np.uint64]], config: SelectionConfig
) -> None:
    scores, hashes = pool
    positions, rule = select_with_rule(scores, config, hashes, lengths=scores)
    assert len(positions) == config.coreset_size(len(scores)) == rule.occupancy.budgets.sum()
    assert np.all(np.diff(positions) > 0)
    assert rule.occupancy.counts.sum() == len(scores) - config.removed(len(scores))
    taken = np.bincount(rule.occupancy.strata.assign(scores[positions]), minlength=len(rule.occupancy.counts))
    if rule.ranked:
        assert taken.tolist() == rule.occupancy.budgets.tolist()


@given(pools(non_negative=True), configs(), RATES)
@settings(max_examples=80, deadline=None)
def test_a_smaller_budget_is_a_subset_of_a_larger(
    pool: tuple[NDArray[np.float64], NDArray[np.uint64]], config: SelectionConfig, other: Decimal
) -> None:
    scores, hashes = pool
    rates = sorted([config.prune_rate, max(other, config.hardest_cut)])
    larger, smaller = (array_select(scores, hashes, replace(config, prune_rate=rate))[0] for rate in rates)
    assert set(smaller) <= set(larger)


@given(pools(non_negative=True), configs(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_rows_does_not_matter(
    pool: tuple[NDArray[np.float64], NDArray[np.uint64]], config: SelectionConfig, random: st.randoms
) -> None:
    scores, hashes = pool
    order = np.arange(len(scores))
    random.shuffle(order)
    straight = array_select(scores, hashes, config)[0]
    shuffled = array_select(scores[order], hashes[order], config)[0]
    assert sorted(hashes[straight]) == sorted(hashes[order][shuffled])


@pytest.mark.parametrize("kind", StrataKind)
@pytest.mark.parametrize("strategy", Strategy)
def test_large_tables_take_the_narrowed_search_and_agree(strategy: Strategy, kind: StrataKind) -> None:
    # More rows than the sample holds, ties, zeros and a heavy tail.
    random = np.random.default_rng(7)
    scores = np.round(random.standard_gamma(0.5, 300_000) * np.exp(random.standard_normal(300_000) * 2), 3)
    hashes = random.permutation(np.arange(300_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    config = SelectionConfig(
        strategy=strategy, prune_rate=Decimal("80.3"), hardest_cut=Decimal("4.7"), strata_kind=kind, seed=3
    )
    positions, rule = select_with_rule(scores, config, hashes, lengths=scores)
    for most in (planning.MOST_CANDIDATES, -1):
        with mock.patch.object(planning, "MOST_CANDIDATES", most):
            found = select_in_duckdb(view(scores, hashes), config).fetchnumpy()["position"]
        assert np.array_equal(found, positions)
    assert len(positions) == config.coreset_size(len(scores))
    ranks_descending = np.lexsort((hashes, -scores))
    if strategy is Strategy.TOP_INFLUENCE:
        assert np.array_equal(positions, np.sort(ranks_descending[: len(positions)]))
    if strategy is Strategy.COVERAGE_CENTRIC:
        assert not set(positions) & set(ranks_descending[: config.removed(len(scores))].tolist())
        assert rule.occupancy.counts.sum() == len(scores) - config.removed(len(scores))


def test_copies_of_one_sequence_are_told_apart_by_position_in_tables() -> None:
    scores = np.ones(40)
    hashes = np.full(40, 17, dtype=np.uint64)
    for strategy in (Strategy.COVERAGE_CENTRIC, Strategy.TOP_INFLUENCE, Strategy.RANDOM):
        config = SelectionConfig(strategy=strategy, prune_rate=Decimal(75))
        for most in (planning.MOST_CANDIDATES, -1):
            with mock.patch.object(planning, "MOST_CANDIDATES", most):
                found = select_in_duckdb(view(scores, hashes), config).fetchnumpy()["position"]
            assert found.tolist() == list(range(10))
