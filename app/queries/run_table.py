"""A run's narrow columns joined once into one DuckDB file, which the explorer's questions scan.

A run's columns lie in three folders of many small Parquet files (one a score shard). Joining them for every
question took 0.2 to 0.6 s over 1 M rows; one table with dictionaries and bit-packing takes 36 MB for the same
rows and answers in 0.01 to 0.1 s. Of a larger run the file also has a sample of a million rows, with
weights, that keeps rare influences whole: pictures are drawn from it, so that a brush over 23 M sequences
costs no more than one over a million. The file is derived: deleted, it is made again.
"""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from app.queries.relation import number, text
from app.queries.sampling import InfluenceBuckets, sampling_fractions
from bioprune_core.errors import StorageError
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.storage import atomic_path
from bioprune_core.workspace import connect
from bioprune_core.workspace.positioned import parts_of
from bioprune_core.workspace.views import create_view

__all__ = ["SAMPLE_ROWS", "open_run_table", "write_run_table"]

SAMPLE_ROWS = 1_000_000
"""Runs with more sequences are drawn from a sample of about as many."""

_BLOCK = 1 << 19

_SELECT = (
    "SELECT position, scores.hash, scores.influence, scores.loss, scores.tokens, "
    "pool.length, pool.label, pool.id, map.x, map.y, map.cluster "
    "FROM {catalogue}.scores JOIN {map} USING (position) JOIN {catalogue}.pool USING (position) "
    "WHERE position >= {start} AND position < {stop}"
)

_NO_MAP = (
    "(SELECT position, NULL::FLOAT AS x, NULL::FLOAT AS y, NULL::INTEGER AS cluster "
    "FROM {catalogue}.scores) AS map"
)
"""Stands in for the map of a run that was made without one."""


def write_run_table(
    views: Callable[[], duckdb.DuckDBPyConnection],
    target: Path,
    report: Reporter = discard,
    sample: int = SAMPLE_ROWS,
) -> None:
    """Write the table of a finished run.

    Rows go over in blocks of 2^19 positions, so memory stays bounded whatever the size of the pool.

    Args:
        views: Opens a connection with the views `pool`, `scores` and, where the run has one, `map`.
        target: The file to make; whole or absent.
        report: Told after every block.
        sample: Rows of the sample; a smaller run has none.

    Raises:
        StorageError: The disk is full, or scores, map and pool do not hold the same positions.
    """
    connection = views()
    try:
        total = _count(connection, "scores")
        # Sequences without a score have left gaps, so the last position may lie beyond the number of rows.
        end = 1 + (_largest(connection, "scores") or 0)
        catalogue = _catalogue(connection)
        places = f"{catalogue}.map" if _has_map(connection) else _NO_MAP.format(catalogue=catalogue)
        with atomic_path(target) as part:
            part.unlink(missing_ok=True)
            connection.execute(f"ATTACH {text(part)} AS target")
            for start in range(0, end, _BLOCK):
                rows = _SELECT.format(catalogue=catalogue, map=places, start=start, stop=start + _BLOCK)
                verb = "INSERT INTO target.scored" if start else "CREATE TABLE target.scored AS"
                connection.execute(f"{verb} {rows} ORDER BY position")
                report(Progress("explore", min(total, start + _BLOCK), total, "sequences"))
            kept = _count(connection, "target.scored")
            if kept > sample:
                _write_sample(connection, sample)
            connection.execute("DETACH target")
            if kept != total:
                raise StorageError(
                    f"{total - kept:,} of {total:,} scored sequences are missing on the map or in the pool. "
                    "The run's files are damaged or incomplete; score the dataset again."
                )
    finally:
        connection.close()


def open_run_table(
    table: Path, sequences: Path, *, threads: int = 2, memory: str = "400MB"
) -> duckdb.DuckDBPyConnection:
    """Open a run for reading: `scored`, `sampled`, `pool`, and `scores` as selections expect it.

    One such connection serves all people who look at the run: every page run takes a `cursor()` of it, with
    temporary tables of its own and the cache of blocks in common.

    Args:
        table: The file written by `write_run_table`.
        sequences: The folder of the dataset's Parquet parts.
        threads: Threads a query may use.
        memory: What DuckDB may hold in memory; beyond it, it writes to disk.

    Raises:
        StorageError: The dataset has no parts.
    """
    connection = connect(memory, threads)
    connection.execute(f"ATTACH {text(table)} AS run (READ_ONLY)")
    connection.execute("CREATE VIEW scored AS SELECT * FROM run.scored")
    connection.execute("CREATE VIEW scores AS SELECT position, hash, influence, tokens FROM run.scored")
    sampled = _count(connection, "duckdb_tables() WHERE table_name = 'sampled'") > 0
    rows = "SELECT * FROM run.sampled" if sampled else "SELECT *, 1.0::DOUBLE AS weight FROM run.scored"
    connection.execute(f"CREATE VIEW sampled AS {rows}")
    create_view(connection, "pool_parts", parts_of(sequences))
    # Only what the table has not: both are joined.
    columns = "position, source, description, duplicates, sequence"
    connection.execute(f"CREATE VIEW pool AS SELECT {columns} FROM pool_parts")
    return connection


def _write_sample(connection: duckdb.DuckDBPyConnection, limit: int) -> None:
    """The table `sampled`: equal shares of buckets of log influence, weighted so that each bucket sums up."""
    row = connection.execute(
        "SELECT min(influence) FILTER (WHERE influence > 0), max(influence) FROM target.scored"
    ).fetchone()
    low, high = row if row else (None, None)
    buckets = InfluenceBuckets.over(low or 0.0, high or 0.0)

    def counts(condition: str) -> NDArray[np.int64]:
        found = np.zeros(len(buckets), dtype=np.int64)
        for place, count in connection.execute(
            f"SELECT ({buckets.index})::INTEGER AS bucket, count(*) FROM target.scored "
            f"WHERE {condition} GROUP BY bucket"
        ).fetchall():
            found[place] = count
        return found

    available = counts("true")
    drawn = buckets.drawn(sampling_fractions(available, limit))
    taken = counts(drawn)
    weights = [number(weight) for weight in available / np.maximum(taken, 1)]
    connection.execute(
        f"CREATE TABLE target.sampled AS SELECT *, {buckets.choose(weights)} AS weight "
        f"FROM target.scored WHERE {drawn} ORDER BY position"
    )


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def _largest(connection: duckdb.DuckDBPyConnection, relation: str) -> int | None:
    row = connection.execute(f"SELECT max(position) FROM {relation}").fetchone()
    return row[0] if row else None


def _catalogue(connection: duckdb.DuckDBPyConnection) -> str:
    """The catalogue that the views live in; attaching another one does not change it."""
    row = connection.execute("SELECT current_database()").fetchone()
    return f"{row[0]}.main" if row else "memory.main"


def _has_map(connection: duckdb.DuckDBPyConnection) -> bool:
    return _count(connection, "duckdb_views() WHERE view_name = 'map'") > 0
