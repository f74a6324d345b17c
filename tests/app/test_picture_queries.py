"""The queries behind the pictures: brushes, lassos, histograms and points, against numpy over all rows."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from query_rows import BRUSHES, EDGES, SIZE, brushed, even_odd

from app.queries.brush import CategoryColumn, Predicate, address_of, brush_of, rounded
from app.queries.composition import category_shares
from app.queries.distribution import (
    Axis,
    histogram,
    influence_extent,
    middle_range,
    strata_histogram,
    summary,
)
from app.queries.embedding_map import density, map_extent, neighbours, sample_points
from app.queries.relation import bucket_expression, from_clause
from app.queries.sampling import sampling_fractions
from app.queries.table import count_rows
from bioprune_core.selection.polygon import inside_expression, simplify

_coordinate = st.floats(-10, 10, allow_nan=False).map(lambda value: round(value, 2))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vertices=st.lists(st.tuples(_coordinate, _coordinate), min_size=3, max_size=24))
def test_lasso_in_sql_selects_what_the_even_odd_rule_selects(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, vertices: list[tuple[float, float]]
) -> None:
    condition = inside_expression("x", "y", tuple(vertices))
    found = run.execute(f"SELECT position FROM scored WHERE {condition} ORDER BY position").fetchnumpy()[
        "position"
    ]
    x, y = rows["x"].to_numpy(np.float64), rows["y"].to_numpy(np.float64)
    expected = np.flatnonzero(even_odd(x, y, vertices))
    # A row exactly on an edge may fall either way by rounding; synthetic rows never lie on one.
    assert np.array_equal(found, expected)


def test_simplified_lasso_keeps_its_limit_and_almost_its_area() -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = [(float(np.cos(angle)), float(np.sin(angle))) for angle in angles]
    kept = np.array(simplify(circle, 48))
    area = 0.5 * abs(np.sum(kept[:, 0] * np.roll(kept[:, 1], -1) - kept[:, 1] * np.roll(kept[:, 0], -1)))
    assert len(kept) == 48
    assert area == pytest.approx(np.pi, rel=0.01)


@given(edges=st.lists(st.floats(-1e6, 1e6), max_size=70, unique=True).map(sorted))
@settings(max_examples=40, deadline=None)
def test_bucket_tree_equals_searchsorted(edges: list[float]) -> None:
    values = np.array([-1e7, 0.0, 1e7, *edges, *(edge + 1e-3 for edge in edges)])
    expression = bucket_expression("v", edges, [str(index) for index in range(len(edges) + 1)])
    connection = duckdb.connect()
    connection.execute("CREATE TABLE given AS SELECT unnest(?::DOUBLE[]) AS v", [values.tolist()])
    found = connection.execute(f"SELECT {expression} AS bucket FROM given").fetchnumpy()["bucket"]
    assert np.array_equal(found, np.searchsorted(edges, values, side="right"))


def test_from_clause_joins_only_what_is_needed() -> None:
    assert from_clause({"position"}) == from_clause({"x", "label"}) == "scored"
    assert from_clause({"influence", "sequence"}) == "scored JOIN pool USING (position)"


@pytest.mark.parametrize("name", BRUSHES)
def test_brush_selects_the_same_rows_in_every_view(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, name: str
) -> None:
    brush = BRUSHES[name]
    selected, mask = brush.predicate(), brushed(rows, brush)
    extent, places = influence_extent(run), map_extent(run)
    assert mask.any()
    assert places is not None
    assert summary(run, extent, selected).count == mask.sum()
    assert count_rows(run, selected) == mask.sum()
    assert histogram(run, extent, Axis.LOG, 50, selected).total == mask.sum()
    assert density(run, places, 30, selected).counts.sum() == mask.sum()
    shares = category_shares(run, CategoryColumn.LABEL, EDGES, selected=selected)
    assert shares.counts.sum() + shares.rest.sum() == mask.sum()
    assert strata_histogram(run, EDGES, selected).sum() == mask.sum()
    assert set(sample_points(run, extent, 50_000, selected)["position"]) == set(np.flatnonzero(mask))


@pytest.mark.parametrize("name", BRUSHES)
def test_address_gives_the_brush_back(name: str) -> None:
    brush = BRUSHES[name]
    assert brush_of(address_of(brush)) == brush == rounded(brush)


@pytest.mark.parametrize("text", ["", "1..", "a..b", "3..1", "nan..2", "1..inf"])
def test_unreadable_address_is_no_brush(text: str) -> None:
    assert not brush_of({"influence": text, "region": "1,2 3,4", "search": "  "})


@pytest.mark.parametrize("axis", Axis)
def test_histogram_equals_numpy(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, axis: Axis) -> None:
    found = histogram(run, influence_extent(run), axis, 64)
    values = rows["influence"].to_numpy()
    expected, _ = np.histogram(np.log10(values) if axis is Axis.LOG else values, bins=found.edges)
    assert np.abs(found.counts - expected).sum() <= 2  # rounding at a bin's edge
    assert found.total == SIZE


def _tiny(columns: str) -> duckdb.DuckDBPyConnection:
    """A run's table with a few columns only."""
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE scored AS SELECT {columns}")
    connection.execute("CREATE VIEW sampled AS SELECT *, 1.0 AS weight FROM scored")
    return connection


def test_log_histogram_counts_zeros_apart() -> None:
    connection = _tiny("unnest([0.0, 0.0, 1.0, 10.0]) AS influence")
    found = histogram(connection, influence_extent(connection), Axis.LOG, 4)
    assert found.zeros == 2
    assert found.counts.tolist() == [1, 0, 0, 1]


def test_equal_influences_fill_one_bin() -> None:
    connection = _tiny("2.5 AS influence FROM range(7)")
    for axis in Axis:
        assert histogram(connection, influence_extent(connection), axis, 8).counts[0] == 7


def test_summary_equals_pandas(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    found = summary(run, influence_extent(run))
    assert (found.count, found.low, found.high) == (SIZE, rows["influence"].min(), rows["influence"].max())
    assert found.median == pytest.approx(rows["influence"].median(), rel=0.005)
    assert found.high95 == pytest.approx(rows["influence"].quantile(0.95), rel=0.005)
    assert found.loss == pytest.approx(rows["loss"].mean())
    assert summary(run, influence_extent(run), Predicate("false")).median is None


def test_summary_of_equal_and_zero_influences() -> None:
    connection = _tiny("unnest([0.0, 2.5, 2.5, 2.5]) AS influence, 1.0 AS loss, 7 AS tokens")
    found = summary(connection, influence_extent(connection))
    assert (found.low, found.median, found.high, found.tokens) == (0.0, 2.5, 2.5, 7.0)


@pytest.mark.parametrize("column", ["loss", "length"])
def test_middle_range_leaves_out_a_hundredth_at_either_end(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, column: str
) -> None:
    low, high = np.quantile(rows[column].to_numpy(np.float64), [0.01, 0.99])
    assert middle_range(run, column) == pytest.approx((low, high))
    assert middle_range(_tiny("1 AS loss, 0::UBIGINT AS hash LIMIT 0"), "loss") == (0.0, 1.0)


@given(counts=st.lists(st.integers(0, 10_000), min_size=1, max_size=30), limit=st.integers(1, 5_000))
@settings(deadline=None)
def test_sampling_fractions_stay_within_the_limit(counts: list[int], limit: int) -> None:
    fractions = sampling_fractions(np.array(counts), limit)
    assert (fractions >= 0).all()
    assert (fractions <= 1).all()
    assert (fractions * counts).sum() <= min(limit, sum(counts)) + 1e-6


def test_point_sample_is_bounded_repeatable_and_keeps_the_tail(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame
) -> None:
    extent = influence_extent(run)
    points = sample_points(run, extent, 2_000)
    pd.testing.assert_frame_equal(points, sample_points(run, extent, 2_000))
    assert 1_500 < len(points) <= 2_000
    top = rows["influence"].nlargest(10).index
    assert set(top) <= set(points["position"])


def test_neighbours_are_the_nearest_on_the_map(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    found = neighbours(run, 1234, 6)
    x, y = rows["x"].to_numpy(float), rows["y"].to_numpy(float)
    distance = np.hypot(x - x[1234], y - y[1234])
    assert found["position"].tolist() == np.argsort(distance, kind="stable")[:7].tolist()
    assert found["distance"].iloc[0] == 0
