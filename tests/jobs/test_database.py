"""The job database, as others may find it."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from bioprune_core.errors import StorageError
from bioprune_core.jobs import database
from bioprune_core.workspace import Workspace


def impatient_migration(url: str) -> None:
    """What the queue's own migration does, without its patience of 30 s."""
    engine = sa.create_engine(url, connect_args={"timeout": 0.1})
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE trial (number)")


def test_a_database_that_somebody_keeps_locked_is_said_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.DBOS, "migrate", impatient_migration)
    with closing(sqlite3.connect(workspace.layout.jobs_file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="kept locked by another process"):
            database.prepare_database(workspace)
        other.rollback()
    database.prepare_database(workspace)
