"""The job database: where it is, how it is made, which queues it has."""

import logging
from collections.abc import Mapping

import sqlalchemy as sa
from dbos import DBOS

from bioprune_core.errors import StorageError
from bioprune_core.jobs.kinds import JobKind
from bioprune_core.workspace.locks import hold
from bioprune_core.workspace.workspace import Workspace

__all__ = [
    "APPLICATION",
    "APPLICATION_VERSION",
    "HEAVY_QUEUE",
    "LIGHT_QUEUE",
    "QUEUE_OF",
    "WORKFLOW",
    "database_url",
    "help_queue",
    "prepare_database",
]

APPLICATION = "bioprune"
APPLICATION_VERSION = "1"
"""Pinned: a worker takes up what a worker of the same number left. Raised when the order of steps changes."""

WORKFLOW = "bioprune.job"

HEAVY_QUEUE = "heavy"
LIGHT_QUEUE = "light"
"""Reading files needs a processor and a disk, no accelerator: an upload does not wait hours for a scoring."""

HELP_QUEUE = "help"
"""Shards of other workers' jobs, for workers that have nothing of their own to do."""

QUEUE_OF: Mapping[JobKind, str] = {
    JobKind.INGEST: LIGHT_QUEUE,
    JobKind.PRETRAIN: HEAVY_QUEUE,
    JobKind.SCORE: HEAVY_QUEUE,
    JobKind.ESTIMATE: HEAVY_QUEUE,
    JobKind.EXPERIMENT: HEAVY_QUEUE,
    JobKind.HELP: HELP_QUEUE,
}


def database_url(workspace: Workspace) -> str:
    """Where the queue is: PostgreSQL when configured, otherwise jobs.db in the workspace."""
    return workspace.settings.database_url or f"sqlite:///{workspace.layout.jobs_file}"


def prepare_database(workspace: Workspace) -> str:
    """Make the tables of the job database where they are missing, and return its URL.

    Raises:
        StorageError: The database cannot be reached.
    """
    logging.getLogger("dbos").setLevel(logging.WARNING)
    url = database_url(workspace)
    try:
        with hold(workspace.root / ".jobs.lock", "the job database", wait_s=60):
            DBOS.migrate(url)
    except sa.exc.OperationalError as error:
        shown = sa.make_url(url).render_as_string(hide_password=True)
        # The words of SQLite; a process suspended in the middle of a write keeps the lock.
        remedy = (
            "is kept locked by another process. Let that one go on, or end it."
            if "database is locked" in str(error)
            else "cannot be opened. Check that it exists and that you may write to it."
        )
        raise StorageError(f"The job database {shown} {remedy}", detail=str(error)) from error
    return url


def help_queue(worker: str) -> str:
    """The queue of calls for help to one worker.

    In a queue for all, the worker that calls could take its own call each time and drop it, as it is busy.
    """
    return f"{HELP_QUEUE}-{worker}"
