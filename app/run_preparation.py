"""The file of a run's table: made once, for the first page run that needs it, while others wait for it."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from app.queries.run_table import write_run_table
from app.services import workspace
from bioprune_core.progress import Progress
from bioprune_core.workspace import Run, open_views

__all__ = ["prepared_table"]

_PREFIX = "explore-1-"
"""Of table files; the number changes with their columns, so that tables of older versions are left behind."""

_ABANDONED_S = 86_400.0
"""A half-made table that was not written to for so long belongs to a server that was killed."""

_LOOK_S = 0.5
"""Between two looks at a table that is being made for somebody else."""


@dataclass(slots=True)
class _Preparation:
    """How far the making of one table is, and who may make it."""

    progress: Progress
    lock: threading.Lock = field(default_factory=threading.Lock)


_PREPARATIONS: dict[Path, _Preparation] = {}


def prepared_table(run: Run, digest: str, rows: int, report: Callable[[Progress], None]) -> Path:
    """The table of a finished run, made unless it is there.

    Tables of different runs are made at the same time. Of one run, one caller makes it and the others wait
    and are told how far it is; where that caller is broken off, one of those who wait makes it.

    Args:
        run: A finished run.
        digest: SHA-256 of its scores.
        rows: How many sequences it has scored.
        report: Told while the table is made; what it raises ends the making or the waiting.

    Raises:
        StorageError: The run's files are damaged, or the disk is full.
    """
    table = workspace().root / "cache" / f"{_PREFIX}{run.id}-{digest[:16]}.duckdb"
    if table.exists():
        return table
    # One for all threads: setdefault() is atomic.
    preparation = _PREPARATIONS.setdefault(table, _Preparation(Progress("explore", 0, rows, "sequences")))

    def tell(progress: Progress) -> None:
        preparation.progress = progress
        report(progress)

    report(preparation.progress)
    while not preparation.lock.acquire(timeout=_LOOK_S):
        report(preparation.progress)
    try:
        if not table.exists():
            _sweep(table.parent)
            write_run_table(lambda: _views(run), table, tell)
    finally:
        preparation.lock.release()
    return table


def _views(run: Run) -> duckdb.DuckDBPyConnection:
    # Less than the workspace's default: this is the web process, and joining a block takes about 200 MB.
    return open_views(workspace(), run, memory_limit="300MB", threads=2)


def _sweep(folder: Path) -> None:
    """Remove tables of runs that were deleted, of older versions, and what a killed server left half made."""
    kept = {run.id for run in workspace().runs()}
    for table in folder.glob("explore*.duckdb"):
        if table.stem.removeprefix(_PREFIX).rpartition("-")[0] not in kept:
            table.unlink(missing_ok=True)
    # Named by `atomic_path`, with DuckDB's log beside them. Another server may be at work on the newer ones.
    for part in folder.glob(".explore*.part*"):
        with suppress(FileNotFoundError):
            if part.stat().st_mtime < time.time() - _ABANDONED_S:
                part.unlink()
