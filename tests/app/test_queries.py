"""The explorer's queries give what a direct computation over all rows gives."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_run import open_synthetic_table, open_synthetic_views, write_synthetic_run

from app.queries.brush import Brush, CategoryColumn, Predicate, address_of, brush_of, rounded
from app.queries.composition import category_counts, category_shares, length_quantiles, letters
from app.queries.coverage import category_coverage, influence_coverage, length_coverage, overlap
from app.queries.distribution import (
    Axis,
    histogram,
    influence_extent,
    strata_histogram,
    summary,
)
from app.queries.embedding_map import density, map_extent, neighbours, sample_points
from app.queries.relation import bucket_expression, from_clause
from app.queries.run_table import open_run_table, write_run_table
from app.queries.sampling import sampling_fractions
from app.queries.sequence import scored_sequence
from app.queries.table import SortKey, TableOrder, count_rows, export_rows, table_page
from bioprune_core.errors import InputError, NotFoundError, StorageError
from bioprune_core.progress import Progress
from bioprune_core.selection import SelectionConfig, select_sql
from bioprune_core.selection.polygon import inside_expression, simplify

SIZE = 10_000
EDGES = [1.0, 5.0, 20.0, 200.0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    # Parts of 4,096 rows: three of them, so that nothing depends on a single file.
    return open_synthetic_table(
        write_synthetic_run(tmp_path_factory.mktemp("run"), SIZE, part=4_096), threads=1
    )


@pytest.fixture(scope="module")
def rows(run: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    frame: pd.DataFrame = run.sql("SELECT * FROM scored JOIN pool USING (position) ORDER BY position").df()
    return frame


def _even_odd(x: np.ndarray, y: np.ndarray, vertices: list[tuple[float, float]]) -> np.ndarray:
    inside = np.zeros(len(x), dtype=bool)
    for (x1, y1), (x2, y2) in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


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
    expected = np.flatnonzero(_even_odd(x, y, vertices))
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


BRUSHES = {
    "nothing": Brush(),
    "influence": Brush(influence=(2.0, 40.0)),
    "region": Brush(region=((-5.0, -5.0), (6.0, -4.0), (0.0, 7.0))),
    "label": Brush(category=(CategoryColumn.LABEL, "RF00003")),
    "no label": Brush(category=(CategoryColumn.LABEL, None)),
    "cluster": Brush(category=(CategoryColumn.CLUSTER, "5")),
    "search": Brush(search="SEQ-0000004"),
    "all": Brush(
        (0.5, 400.0), ((-9, -9), (9, -9), (9, 9), (-9, 9)), (CategoryColumn.CLUSTER, "5"), "seq-0000"
    ),
}


def _mask(rows: pd.DataFrame, brush: Brush) -> np.ndarray:
    mask = np.ones(len(rows), dtype=bool)
    if brush.influence:
        mask &= rows["influence"].between(*brush.influence).to_numpy()
    if brush.region:
        mask &= _even_odd(rows["x"].to_numpy(float), rows["y"].to_numpy(float), list(brush.region))
    if brush.category:
        column, value = brush.category
        mask &= (rows[column].isna() if value is None else rows[column].astype(str) == value).to_numpy()
    if brush.search:
        mask &= rows["id"].str.contains(brush.search.lower(), regex=False).to_numpy()
    return mask


@pytest.mark.parametrize("name", BRUSHES)
def test_brush_selects_the_same_rows_in_every_view(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, name: str
) -> None:
    brush = BRUSHES[name]
    selected, mask = brush.predicate(), _mask(rows, brush)
    extent, places = influence_extent(run), map_extent(run)
    assert mask.any()
    assert places is not None
    assert summary(run, extent, selected).count == mask.sum()
    assert count_rows(run, selected) == mask.sum()
    assert histogram(run, extent, Axis.LOG, 50, selected).total == mask.sum()
    assert density(run, places, 30, selected).counts.sum() == mask.sum()
    assert category_counts(run, CategoryColumn.LABEL, selected)["count"].sum() == mask.sum()
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


def test_sequence_has_its_rank(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    top = int(rows["influence"].idxmax())
    found = scored_sequence(run, top)
    assert (found.rank, found.total, found.id) == (1, SIZE, rows["id"][top])
    assert found.sequence == rows["sequence"][top]
    with pytest.raises(NotFoundError, match="position 10000"):
        scored_sequence(run, SIZE)


@pytest.mark.parametrize("key", SortKey)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_together_are_the_sorted_table(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, key: SortKey, descending: bool
) -> None:
    brush = Brush(influence=(30.0, 60.0))
    expected = rows[_mask(rows, brush)].sort_values(
        [key.value, "position"], ascending=[not descending, True], na_position="last"
    )
    pages = [table_page(run, page, 40, TableOrder(key, descending), brush.predicate()) for page in range(3)]
    assert pd.concat(pages)["position"].tolist() == expected["position"].tolist()[:120]


def test_page_beyond_the_end_is_empty(run: duckdb.DuckDBPyConnection) -> None:
    assert table_page(run, 10_000).empty


def test_export_holds_whole_sequences_and_refuses_too_many(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, tmp_path: Path
) -> None:
    brush = Brush(influence=(100.0, 1e9), search="seq")
    target = tmp_path / "rows.csv"
    target.write_bytes(b"".join(export_rows(run, brush.predicate(), TableOrder(), 5_000)))
    exported = pd.read_csv(target)
    expected = rows[_mask(rows, brush)].sort_values("influence", ascending=False)
    assert exported["position"].tolist() == expected["position"].tolist()
    assert exported["sequence"].tolist() == expected["sequence"].tolist()
    with pytest.raises(InputError, match=r"10,000 sequences.*at most 50"):
        b"".join(export_rows(run, Predicate(), TableOrder(), 50))


def test_category_shares_sum_to_the_strata(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    shares = category_shares(run, CategoryColumn.LABEL, EDGES, shown=5)
    stratum = np.searchsorted(EDGES, rows["influence"], side="right")
    assert shares.names[-1] == "other"
    assert len(shares.names) == 6
    assert shares.counts.sum(axis=1).tolist() == np.bincount(stratum, minlength=5).tolist()
    first = rows["label"].fillna("no label") == shares.names[0]
    assert shares.counts[:, 0].tolist() == np.bincount(stratum[first], minlength=5).tolist()


def test_named_categories_are_kept_in_their_order(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    shares = category_shares(run, CategoryColumn.LABEL, EDGES, named=("RF00007", "no label"))
    assert shares.names == ("RF00007", "no label", "other")
    counts = rows["label"].fillna("no label").value_counts()
    assert shares.counts.sum(axis=0).tolist()[:2] == [counts["RF00007"], counts["no label"]]
    assert shares.counts.sum() == SIZE


def test_lengths_per_stratum(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    found = length_quantiles(run, EDGES).set_index("stratum")
    stratum = np.searchsorted(EDGES, rows["influence"], side="right")
    for index, group in rows.groupby(stratum):
        assert found["count"][index] == len(group)
        assert found["median"][index] == pytest.approx(group["length"].median(), rel=0.05)


def test_letter_shares_per_stratum(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    counts = strata_histogram(run, EDGES)
    found = letters(run, EDGES, "ACGU", counts, limit=10**9)
    stratum = np.searchsorted(EDGES, rows["influence"], side="right")
    text = "".join(rows["sequence"][stratum == 2])
    assert found[2].tolist() == pytest.approx([text.count(letter) / len(text) for letter in "ACGU"])


def test_coverage_and_overlap_of_selections(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame, tmp_path: Path
) -> None:
    selections = {"chosen": "(position % 5 = 0)::INTEGER", "other": "0.25"}
    labels = category_coverage(run, CategoryColumn.LABEL, selections).set_index("category")
    names = rows["label"].fillna("no label")
    assert labels["pool"].to_dict() == names.value_counts().to_dict()
    assert labels["chosen"][labels["chosen"] > 0].to_dict() == names[::5].value_counts().to_dict()
    edges, lengths = length_coverage(run, selections)
    for name, chosen in (("pool", rows), ("chosen", rows[::5])):
        assert lengths[name].tolist() == np.histogram(chosen["length"], edges)[0].tolist()
    edges, found = influence_coverage(run, influence_extent(run), selections, bins=20)
    for name, chosen in (("pool", rows), ("chosen", rows[::5])):
        expected = np.histogram(np.log10(chosen["influence"]), edges)[0]
        assert np.abs(found[name] - expected).sum() <= 2  # rounding at a bin's edge
    run.execute(
        f"COPY (SELECT position, hash FROM scored WHERE position % 3 = 0) TO '{tmp_path}/members.parquet'"
    )
    shared = overlap(run, "position % 5 = 0", tmp_path / "members.parquet")
    assert (shared.both, shared.first_only, shared.second_only) == (667, 1_333, 2_667)
    assert shared.jaccard == pytest.approx(667 / 4_667)


def test_selection_condition_counts_the_coreset_in_every_comparison(run: duckdb.DuckDBPyConnection) -> None:
    config = SelectionConfig(prune_rate=90, hardest_cut=5, strata_kind="log-width")
    selections = {
        "chosen": f"({select_sql(run, config)})::INTEGER",
        "random": f"({select_sql(run, SelectionConfig('random'))})::INTEGER",
    }
    size = config.coreset_size(SIZE)
    assert category_coverage(run, CategoryColumn.CLUSTER, selections)[
        ["chosen", "random"]
    ].sum().tolist() == [
        size,
        size,
    ]
    assert length_coverage(run, selections)[1]["chosen"].sum() == size


def test_run_table_holds_every_row_in_order(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path, 9_000, part=2_048)
    seen: list[Progress] = []
    write_run_table(lambda: open_synthetic_views(run), tmp_path / "table.duckdb", seen.append)
    table = open_run_table(tmp_path / "table.duckdb", run.sequences)
    expected = (
        open_synthetic_views(run).sql("SELECT position, influence FROM scores ORDER BY position").fetchall()
    )
    assert table.sql("SELECT position, influence FROM scored").fetchall() == expected
    assert (seen[-1].done, seen[-1].total) == (9_000, 9_000)


def test_run_table_refuses_a_run_with_a_part_missing(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path, 5_000, part=2_048)
    next(iter(run.map.glob("part-00001.parquet"))).unlink()
    with pytest.raises(StorageError, match="2,048 of 5,000 scored sequences"):
        write_run_table(lambda: open_synthetic_views(run), tmp_path / "table.duckdb")
    assert not (tmp_path / "table.duckdb").exists()


def test_run_without_a_map_has_no_places(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path, 100)

    def views() -> duckdb.DuckDBPyConnection:
        connection = open_synthetic_views(run)
        connection.execute("DROP VIEW map")
        return connection

    write_run_table(views, tmp_path / "it's a table.duckdb")
    table = open_run_table(tmp_path / "it's a table.duckdb", run.sequences)
    assert map_extent(table) is None
    assert summary(table, influence_extent(table)).count == 100


def test_sample_of_a_large_run_stands_for_all_of_it(tmp_path: Path) -> None:
    size, limit = 30_000, 10_000
    run = write_synthetic_run(tmp_path, size)
    write_run_table(lambda: open_synthetic_views(run), tmp_path / "table.duckdb", sample=limit)
    table = open_run_table(tmp_path / "table.duckdb", run.sequences)
    rows, total, largest = table.execute(
        "SELECT count(*), sum(weight), max(influence) FROM sampled"
    ).fetchone()
    assert limit * 0.9 < rows <= limit
    assert total == pytest.approx(size)
    extent = influence_extent(table)
    assert largest == extent.high
    exact = table.execute(
        "SELECT count(*), avg(loss), median(influence) FROM scored WHERE cluster < 6"
    ).fetchone()
    found = summary(table, extent, Predicate("scored.cluster < 6", frozenset({"cluster"})))
    assert found.count == pytest.approx(exact[0], rel=0.06)
    assert found.loss == pytest.approx(exact[1], rel=0.03)
    assert found.median == pytest.approx(exact[2], rel=0.1)
    tail = Brush(influence=(1_000.0, 1e9)).predicate()
    assert histogram(table, extent, selected=tail).total == count_rows(table, tail)
