"""The job database, as others may find it."""

import sqlite3
from contextlib import closing

import pytest

from bioprune_core.errors import StorageError
from bioprune_core.jobs import database
from bioprune_core.workspace import Workspace


def test_a_database_that_somebody_keeps_locked_is_said_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = f"sqlite:///{workspace.layout.jobs_file}?timeout=1"  # SQLite's own patience is 30 s here.
    monkeypatch.setattr(database, "database_url", lambda _: impatient)
    with closing(sqlite3.connect(workspace.layout.jobs_file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="kept locked by another process"):
            database.prepare_database(workspace)
        other.rollback()
    database.prepare_database(workspace)
