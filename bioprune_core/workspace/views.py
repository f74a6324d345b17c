"""DuckDB over the Parquet of a run: everybody opens their own, nobody locks anything."""

import glob
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from bioprune_core.errors import ConflictError
from bioprune_core.storage import read_json
from bioprune_core.workspace.configuration import CONFIG_FILE
from bioprune_core.workspace.layout import Layout
from bioprune_core.workspace.positioned import parts_of
from bioprune_core.workspace.records import Run
from bioprune_core.workspace.state import is_complete

if TYPE_CHECKING:
    from bioprune_core.workspace.workspace import Workspace

__all__ = ["MEMORY_LIMIT", "connect", "create_view", "open_views", "plain_path", "run_views"]

MEMORY_LIMIT = "1GB"
"""By default a connection may take this much; beyond it DuckDB spills to the temporary folder."""


def open_views(
    workspace: "Workspace", run: Run, *, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB with the views of a finished run. The caller closes it.

    The views: `pool` (the dataset's columns), `scores` (position, hash, influence, loss, tokens,
    gradient_norm), `map` (position, x, y, cluster; absent where the run has no map) and
    `sequences_scored` (the pool with influence, loss, tokens and gradient_norm). A sequence without a score,
    because a value of it is not finite, is in `pool` alone.

    Args:
        workspace: The workspace.
        run: A finished run.
        memory_limit: Memory that the connection may take, as DuckDB writes it: "1GB".
        threads: Threads for a query; by default all processors.

    Raises:
        ConflictError: The run is not finished: unfinished scores are never shown.
        StorageError: Files of the run or its dataset are missing.
    """
    return run_views(workspace.layout, run.id, memory_limit, threads)


def connect(memory_limit: str = MEMORY_LIMIT, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB that stays within its limits and fetches nothing from the network.

    Args:
        memory_limit: Memory that it may take, as DuckDB writes it: "1GB".
        threads: Threads for a query; by default all processors.
    """
    return duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "threads": str(threads or os.cpu_count() or 1),
            "temp_directory": str(Path(tempfile.gettempdir()) / f"bioprune-duckdb-{os.getpid()}"),
            "autoinstall_known_extensions": "false",
        }
    )


def create_view(connection: duckdb.DuckDBPyConnection, name: str, parts: Sequence[Path]) -> None:
    """Make a view over Parquet files, whose paths never become part of an SQL text."""
    connection.read_parquet([plain_path(part) for part in parts]).create_view(name)


def plain_path(path: Path) -> str:
    """The path of a file that DuckDB is to read, as it takes it for this file alone."""
    # It takes *, ? and [ for wildcards also in a folder's name, and also where every file is named.
    return glob.escape(str(path))


def run_views(
    layout: Layout, run_id: str, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB with the views of a finished run; see `open_views`.

    Raises:
        ConflictError: The run is not finished: unfinished scores are never shown.
        StorageError: Files of the run or its dataset are missing.
    """
    directory = layout.run(run_id)
    if not is_complete(directory):
        raise ConflictError(f"The run {run_id} is not finished, so its scores cannot be used yet.")
    dataset = layout.dataset(read_json(directory / CONFIG_FILE)["dataset_id"])
    connection = connect(memory_limit, threads)
    create_view(connection, "pool", parts_of(dataset / "sequences"))
    create_view(connection, "scores", parts_of(directory / "scores"))
    if (directory / "map").is_dir():
        create_view(connection, "map", parts_of(directory / "map"))
    connection.execute(
        "CREATE VIEW sequences_scored AS SELECT pool.*, scores.influence, scores.loss, scores.tokens, "
        "scores.gradient_norm FROM pool JOIN scores ON pool.position = scores.position"
    )
    return connection
