"""Scores in a DuckDB view, as a table for the selection."""

import os
import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.selection.source import Rows

__all__ = ["TableScores", "plain_name"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_BATCH_ROWS = 1 << 16
_NO_HASHES = np.zeros(0, dtype=np.uint64)
_NO_POSITIONS = np.zeros(0, dtype=np.int64)
Result = TypeVar("Result")


class TableScores:
    """A score table over a DuckDB view, streamed: never more than a few batches are in memory.

    DuckDB reads and decodes, numpy computes: as expressions inside DuckDB the ranks and strata of 23 million
        rows
    took twice as long.

    Args:
        connection: Where the view is.
        source: Its name, with columns position, hash and those of `column`.
        column: The score, a column or an expression over columns.
        name: What the scores are called in messages.

    Raises:
        SelectionError: `source` is no plain name.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: str, column: str, name: str) -> None:
        plain_name(source)
        self.name = name
        # All rows are fetched, because a result not read to its end blocks the connection.
        [[self.count]] = connection.execute(f"SELECT count(*) FROM {source}").fetchall()
        self._connection = connection
        self._source = source
        self._column = column

    def each(
        self, look: Callable[[Rows], Result], hashes: bool = False, positions: bool = False
    ) -> list[Result]:
        """`look` at every batch, on all cores, while DuckDB decodes the next; results in order."""
        wanted = [f"({self._column})::DOUBLE AS score"]
        wanted += ["hash::UBIGINT AS hash"] if hashes else []
        wanted += ["position::BIGINT AS position"] if positions else []
        reader = self._connection.sql(f"SELECT {', '.join(wanted)} FROM {self._source}").to_arrow_reader(
            _BATCH_ROWS
        )
        results: list[Result] = []
        workers = os.cpu_count() or 1
        with reader, ThreadPoolExecutor(workers) as pool:
            waiting: deque[Future[Result]] = deque()
            for batch in reader:
                if batch.num_rows:
                    waiting.append(pool.submit(lambda batch: look(_rows(batch)), batch))
                # Few in flight, or a slow look would pile the table up in memory.
                if len(waiting) > 4 * workers:
                    results.append(waiting.popleft().result())
            results += [future.result() for future in waiting]
        return results


def plain_name(source: str) -> str:
    """The name of a view, which becomes part of an SQL text.

    Raises:
        SelectionError: It is no plain name.
    """
    if not _NAME.fullmatch(source):
        raise SelectionError(f"{source!r} is no name of a view; give one such as scores.")
    return source


def _rows(batch: pa.RecordBatch) -> Rows:
    names = batch.schema.names
    return Rows(
        _numbers(batch, "score"),
        _numbers(batch, "hash") if "hash" in names else _NO_HASHES,
        _numbers(batch, "position") if "position" in names else _NO_POSITIONS,
    )


def _numbers(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    # A missing score becomes NaN, which is refused.
    return np.asarray(batch.column(name).to_numpy(zero_copy_only=False))
