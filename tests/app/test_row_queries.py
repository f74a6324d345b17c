"""The queries behind tables and composition: rows, shares, coverage and the run's table, against pandas."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from query_rows import EDGES, SIZE, brushed
from synthetic_run import open_synthetic_views, write_synthetic_run

from app.queries.brush import Brush, CategoryColumn, Predicate
from app.queries.composition import category_shares, largest_categories, length_quantiles, letters
from app.queries.coverage import category_coverage, influence_coverage, length_coverage, overlap
from app.queries.distribution import (
    histogram,
    influence_extent,
    strata_histogram,
    summary,
)
from app.queries.embedding_map import map_extent
from app.queries.run_table import open_run_table, write_run_table
from app.queries.sequence import scored_sequence
from app.queries.table import SortKey, TableOrder, count_rows, export_rows, table_page
from bioprune_core.errors import InputError, NotFoundError, StorageError
from bioprune_core.progress import Progress
from bioprune_core.selection import SelectionConfig, select_sql


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
    expected = rows[brushed(rows, brush)].sort_values(
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
    expected = rows[brushed(rows, brush)].sort_values("influence", ascending=False)
    assert exported["position"].tolist() == expected["position"].tolist()
    assert exported["sequence"].tolist() == expected["sequence"].tolist()
    with pytest.raises(InputError, match=r"10,000 sequences.*at most 50"):
        b"".join(export_rows(run, Predicate(), TableOrder(), 50))


def test_category_shares_sum_to_the_strata(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    shares = category_shares(run, CategoryColumn.LABEL, EDGES, shown=5)
    stratum = np.searchsorted(EDGES, rows["influence"], side="right")
    assert len(shares.names) == 5
    assert shares.names == largest_categories(run, CategoryColumn.LABEL, 5).largest
    total = shares.counts.sum(axis=1) + shares.rest
    assert total.tolist() == np.bincount(stratum, minlength=5).tolist()
    first = rows["label"] == shares.names[0]
    assert shares.counts[:, 0].tolist() == np.bincount(stratum[first], minlength=5).tolist()


def test_named_categories_are_kept_in_their_order(run: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    shares = category_shares(run, CategoryColumn.LABEL, EDGES, named=("RF00007", None))
    assert shares.names == ("RF00007", None)
    expected = [(rows["label"] == "RF00007").sum(), rows["label"].isna().sum()]
    assert shares.counts.sum(axis=0).tolist() == expected
    assert shares.counts.sum() + shares.rest.sum() == SIZE


def test_largest_categories_are_counted_over_all_rows(
    run: duckdb.DuckDBPyConnection, rows: pd.DataFrame
) -> None:
    found = largest_categories(run, CategoryColumn.LABEL, 7)
    counts = rows["label"].fillna("none").value_counts()
    assert found.total == len(counts)
    assert [counts[name or "none"] for name in found.largest] == counts.tolist()[:7]


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
    found = category_coverage(run, CategoryColumn.LABEL, selections)
    names = rows["label"].fillna("no label")
    labels = found.largest.fillna({"category": "no label"}).set_index("category")
    assert labels["pool"].to_dict() == names.value_counts().to_dict()
    assert labels["chosen"][labels["chosen"] > 0].to_dict() == names[::5].value_counts().to_dict()
    shares = names[::5].value_counts(normalize=True)
    assert found.total == len(labels)
    assert found.met["chosen"] == len(shares)
    assert found.effective["chosen"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert labels["other"].sum() == pytest.approx(SIZE / 4, abs=200)
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


def test_the_coreset_of_a_workspace_named_as_a_pattern_is_compared_without_that_of_a_copy(
    run: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for name, kept in (("lab1", "position % 2 = 0"), ("lab2", "position % 2 = 1")):
        (tmp_path / name).mkdir()
        run.execute(
            f"COPY (SELECT position, hash FROM scored WHERE {kept}) TO '{tmp_path}/{name}/members.parquet'"
        )
    (tmp_path / "lab2").rename(tmp_path / "lab?")
    shared = overlap(run, "true", tmp_path / "lab?" / "members.parquet")
    assert (shared.both, shared.first_only, shared.second_only) == (SIZE // 2, SIZE // 2, 0)


def test_selection_condition_counts_the_coreset_in_every_comparison(run: duckdb.DuckDBPyConnection) -> None:
    config = SelectionConfig(prune_rate=90, hardest_cut=5, strata_kind="log-width")
    selections = {
        "chosen": f"({select_sql(run, config)})::INTEGER",
        "random": f"({select_sql(run, SelectionConfig('random'))})::INTEGER",
    }
    size = config.coreset_size(SIZE)
    covered = category_coverage(run, CategoryColumn.CLUSTER, selections).largest
    assert covered[["chosen", "random"]].sum().tolist() == [size, size]
    assert length_coverage(run, selections)[1]["chosen"].sum() == size


def test_rare_labels_of_a_large_run_are_counted_met_and_lost() -> None:
    """One row in 23 has lost more than half of the labels of ten rows, and expects 0 of each other one."""
    run = duckdb.connect()
    run.execute(
        "CREATE TABLE scored AS SELECT position, hash(position::VARCHAR) AS hash, "
        "'family ' || position // 10 AS label FROM range(46_000) AS rows(position)"
    )
    run.execute("CREATE VIEW sampled AS SELECT *, 23.0 AS weight FROM scored WHERE position % 23 = 0")
    found = category_coverage(run, CategoryColumn.LABEL, {"random": "0.1", "none": "0", "all": "1"}, most=5)
    expected = 4_600 * (1 - 0.9**10)
    assert found.total == found.met["all"] == 4_600
    assert found.met["random"] == pytest.approx(expected, abs=4 * (expected * 0.9**10) ** 0.5)
    assert found.met["none"] == found.effective["none"] == 0
    assert found.effective["all"] == pytest.approx(4_600)
    assert found.effective["random"] < found.met["random"]
    assert found.largest["pool"].tolist() == [10] * 5
    assert largest_categories(run, CategoryColumn.LABEL, 5).total == 4_600


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


@pytest.mark.parametrize("name", ["pool[s]", "po*ls", "pool?", "[a]", "it's ["])
def test_a_run_in_a_folder_named_like_a_pattern_reads_its_own_sequences(tmp_path: Path, name: str) -> None:
    # Others that the name would match, were it a pattern.
    for other in ("pools", "poolss", "a"):
        write_synthetic_run(tmp_path / other, 20)
    run = write_synthetic_run(tmp_path / "plain", 10)
    write_run_table(lambda: open_synthetic_views(run), tmp_path / "table.duckdb")
    folder = (tmp_path / "plain").rename(tmp_path / name)
    sequences = folder / run.sequences.relative_to(tmp_path / "plain")
    with open_run_table(tmp_path / "table.duckdb", sequences) as table:
        rows = table.execute("SELECT count(*), count(sequence) FROM scored JOIN pool USING (position)")
        assert rows.fetchone() == (10, 10)
        assert table.cursor().execute("SELECT count(*) FROM pool").fetchone() == (10,)


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
