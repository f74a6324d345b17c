"""The catalogue: names of people's things in a small SQL database (SQLite file or PostgreSQL)."""

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from bioprune_core.errors import ConflictError, NotFoundError, StorageError
from bioprune_core.storage import storage_error
from bioprune_core.workspace.locks import hold
from bioprune_core.workspace.names import check_name, name_key, timestamp
from bioprune_core.workspace.records import Coreset, Dataset, Experiment, Model, Project, Record, Run

__all__ = ["Catalogue", "database_engine"]

SCHEMA_VERSION = 1
_CREATION_LOCK = 0x62696F70
"""Any number, as long as it stays the same: the PostgreSQL lock under which tables are made ("biop")."""

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
"""What SQLite says on a full disk: of a change, and of the index of its log, which it makes on opening."""

_metadata = sa.MetaData()
RecordT = TypeVar("RecordT", Project, Dataset, Model, Run, Coreset, Experiment)


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """A table of named things; `key` is the name as it is compared, unique inside a project."""
    in_project = name != "projects"
    shared: list[sa.Column[Any]] = [sa.Column("id", sa.String(64), primary_key=True)]
    if in_project:
        shared.append(sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False))
    shared += [
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
    ]
    unique = sa.UniqueConstraint("project_id", "key") if in_project else sa.UniqueConstraint("key")
    return sa.Table(name, _metadata, *shared, *columns, unique)


_TABLES: Mapping[type[Record], sa.Table] = {
    Project: _table("projects"),
    Dataset: _table("datasets"),
    Model: _table(
        "models",
        sa.Column("reference", sa.Text),
        sa.Column("dataset_id", sa.ForeignKey("datasets.id")),
    ),
    Run: _table(
        "runs",
        sa.Column("dataset_id", sa.ForeignKey("datasets.id"), nullable=False),
        sa.Column("model_id", sa.ForeignKey("models.id"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
    ),
    Coreset: _table("coresets", sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False)),
    Experiment: _table(
        "experiments",
        sa.Column("dataset_id", sa.ForeignKey("datasets.id"), nullable=False),
        sa.Column("run_id", sa.ForeignKey("runs.id")),
    ),
}
_ORIGINS: Mapping[type[Project | Dataset | Model | Run], str] = {
    Project: "project_id",
    Dataset: "dataset_id",
    Model: "model_id",
    Run: "run_id",
}
"""The columns that point to other rows."""
_version = sa.Table("catalogue_version", _metadata, sa.Column("version", sa.Integer, primary_key=True))


def database_engine(url: str) -> sa.Engine:
    """An engine for a catalogue or heartbeat database.

    Args:
        url: `sqlite:///...` or `postgresql://...`.

    Raises:
        StorageError: The URL is of neither kind, or cannot be understood.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise StorageError(
            "BIOPRUNE_DATABASE_URL cannot be understood. It looks like postgresql://user:password@host/database.",
            detail=str(error),
        ) from error
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(parsed, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    if parsed.get_backend_name() != "sqlite":
        raise StorageError(
            f"BIOPRUNE_DATABASE_URL begins with {parsed.get_backend_name()}://. Give a PostgreSQL database "
            "as postgresql://user:password@host/database, or leave it unset for SQLite in the workspace."
        )
    # Writers wait for each other up to 30 s instead of failing with "database is locked".
    engine = sa.create_engine(parsed, connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: Any, _: Any) -> None:
    # Write-ahead log: readers never wait for a writer, so pages stay quick while a worker writes.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


class Catalogue:
    """Projects, datasets, models, runs, coresets and experiments by name and id.

    Every method raises StorageError where the database cannot be used, and DiskFullError for a change that
    its disk has no space for.

    Args:
        url: `sqlite:///...` or `postgresql://...`; the tables are made when missing.

    Raises:
        StorageError: The database cannot be reached, or is of a newer version of this program.
    """

    def __init__(self, url: str) -> None:
        self.engine = database_engine(url)
        with self._alone(), self._transaction() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
            _metadata.create_all(connection)
            version = connection.scalar(sa.select(_version.c.version))
            if version is None:
                connection.execute(_version.insert().values(version=SCHEMA_VERSION))
            elif version > SCHEMA_VERSION:
                raise StorageError(
                    f"The catalogue was written by a newer BioPrune (format {version}, this one knows "
                    f"{SCHEMA_VERSION}). Update BioPrune."
                )

    def _alone(self) -> AbstractContextManager[None]:
        """Keeps processes that make the same SQLite file apart; PostgreSQL has its own locks.

        SQLite does not wait when two connections switch a new file to write-ahead logging at once.
        """
        database = self.engine.url.database
        if self.engine.dialect.name != "sqlite" or database is None:
            return nullcontext()
        return hold(Path(f"{database}.lock"), "the catalogue", wait_s=30)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """A connection whose changes are committed with the end of the block.

        Raises:
            IntegrityError: A row contradicts another one; its meaning is the caller's to tell.
            DiskFullError: No space is left for a change.
            StorageError: The database cannot be used.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise self._failure(error) from error

    def _failure(self, error: DBAPIError) -> StorageError:
        if getattr(error.orig, "sqlite_errorcode", None) in _FULL:
            full = OSError(errno.ENOSPC, str(error))
            return storage_error(full, Path(str(self.engine.url.database)))
        shown = self.engine.url.render_as_string(hide_password=True)
        reason = str(error.orig).strip().partition("\n")[0]
        return StorageError(
            f"The catalogue database {shown} cannot be used: {reason}. Check that it exists and that you may "
            "write to it; bioprune doctor says more.",
            detail=str(error),
        )

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def add(self, kind: type[RecordT], name: str, *, id: str, **values: Any) -> RecordT:
        """Add a thing under an id made by `new_id`.

        Raises:
            InputError: The name is not acceptable.
            ConflictError: The name is taken, or what the thing is made from was deleted meanwhile.
        """
        what = kind.__name__.lower()
        name = check_name(name, what)
        record = kind(id=id, name=name, created=timestamp(), **values)
        try:
            with self._transaction() as connection:
                connection.execute(_TABLES[kind].insert().values(**asdict(record), key=name_key(name)))
        except IntegrityError as error:
            raise self._refused(record, values) from error
        return record

    def _refused(self, record: Record, values: Mapping[str, Any]) -> ConflictError:
        """Why the database refused a row: its name is taken, or a row that it points to is gone."""
        what = type(record).__name__.lower()
        with self._transaction() as connection:
            for kind, column in _ORIGINS.items():
                origin, table = values.get(column), _TABLES[kind]
                if origin and connection.scalar(sa.select(table.c.id).where(table.c.id == origin)) is None:
                    return ConflictError(
                        f'The {what} "{record.name}" was not made: its {kind.__name__.lower()} was deleted '
                        "meanwhile. Choose another."
                    )
        return _taken(what, record.name)

    def get(self, kind: type[RecordT], identifier: str) -> RecordT:
        """The thing with this id.

        Raises:
            NotFoundError: There is none.
        """
        found = self.select(kind, id=identifier)
        if not found:
            raise NotFoundError(f"There is no {kind.__name__.lower()} with the id {identifier}.")
        return found[0]

    def select(self, kind: type[RecordT], **where: str | None) -> list[RecordT]:
        """All things of a kind whose columns have the given values, oldest first."""
        table = _TABLES[kind]
        query = sa.select(*(table.c[field.name] for field in fields(kind)))
        for column, value in where.items():
            query = query.where(table.c[column] == value)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(table.c.created, table.c.id))
            return [kind(**row._mapping) for row in rows]

    def find(self, kind: type[RecordT], name_or_id: str, project_id: str | None = None) -> RecordT:
        """A thing by its id or, inside a project or where only one project has it, by its name.

        Raises:
            NotFoundError: There is none; lists the names there are.
            ConflictError: Several projects have one of that name.
        """
        what = kind.__name__.lower()
        place = {} if project_id is None else {"project_id": project_id}
        found = self.select(kind, id=name_or_id, **place) or self.select(
            kind, key=name_key(name_or_id), **place
        )
        if len(found) == 1:
            return found[0]
        if found:
            raise ConflictError(
                f'{len(found)} projects have a {what} named "{name_or_id}". Say which project is meant, or '
                "give the id: " + ", ".join(one.id for one in found) + "."
            )
        names = [one.name for one in self.select(kind, **place)]
        there = "There are: " + ", ".join(names[-10:]) + "." if names else f"There is no {what} yet."
        raise NotFoundError(
            f'There is no {what} "{name_or_id}"{" in this project" if place else ""}. {there}'
        )

    def rename(self, record: RecordT, name: str) -> RecordT:
        """Give a thing another name.

        Raises:
            InputError: The name is not acceptable.
            ConflictError: The name is taken.
            NotFoundError: The thing is gone.
        """
        kind = type(record)
        name = check_name(name, kind.__name__.lower())
        table = _TABLES[kind]
        change = table.update().where(table.c.id == record.id).values(name=name, key=name_key(name))
        try:
            with self._transaction() as connection:
                connection.execute(change)
        except IntegrityError as error:
            raise _taken(kind.__name__.lower(), name) from error
        return self.get(kind, record.id)

    def remove(self, record: Record) -> None:
        """Remove a thing's row.

        Raises:
            ConflictError: Something was made from it in the meantime.
        """
        table = _TABLES[type(record)]
        try:
            with self._transaction() as connection:
                connection.execute(table.delete().where(table.c.id == record.id))
        except IntegrityError as error:
            raise ConflictError(
                f'"{record.name}" cannot be deleted: something was just made from it.'
            ) from error


def _taken(what: str, name: str) -> ConflictError:
    where = "" if what == "project" else " in this project"
    return ConflictError(f'There is already a {what} named "{name}"{where}. Choose another name.')
