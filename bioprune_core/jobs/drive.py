"""Computing a whole job: its stages one after the other, under the lock of its directory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bioprune_core.errors import BioPruneError, NotFoundError
from bioprune_core.jobs.kinds import JobKind, Stage, directory_of
from bioprune_core.jobs.process import StageStopped, StopReason
from bioprune_core.workspace.configuration import CONFIG_FILE
from bioprune_core.workspace.events import EventKind, EventLog
from bioprune_core.workspace.layout import Layout
from bioprune_core.workspace.locks import JOB_LOCK, hold
from bioprune_core.workspace.state import is_complete

__all__ = ["compute_stages", "recorded", "target_directory"]


def target_directory(layout: Layout, kind: JobKind, target_id: str) -> Path:
    """The folder that a job fills.

    Raises:
        NotFoundError: It is not there: deleted, or never made.
    """
    directory = directory_of(layout, kind, target_id)
    if not (directory / CONFIG_FILE).is_file():
        raise NotFoundError(
            f"There is no {kind.target} {target_id} in {layout.root}; perhaps it was deleted."
        )
    return directory


def compute_stages(
    directory: Path,
    what: str,
    stages: tuple[Stage, ...],
    run: Callable[[Stage], None],
    lock_wait_s: float,
    while_held: Callable[[str], None] | None = None,
) -> None:
    """Run the stages of a directory in order; nothing where it is complete already.

    Args:
        directory: Folder of the dataset, model or run.
        what: What it is, for messages: "run run-2026...".
        stages: The stages.
        run: Computes one; the worker makes a durable step of it.
        lock_wait_s: Seconds to wait for another process that works on the same directory.
        while_held: Called while that one does; see `hold`.

    Raises:
        ConflictError: Another process works on it.
        StageStopped: It was stopped as asked; the event log says so.
        BioPruneError: A stage failed; the event log says so.
    """
    if is_complete(directory):
        return
    with hold(directory / JOB_LOCK, what, lock_wait_s, while_held):
        if is_complete(directory):
            return  # Another process finished it while this one waited.
        log = EventLog(directory)
        log.write(EventKind.STARTED)
        for stage in stages:
            with recorded(log, stage.name):
                run(stage)
        log.write(EventKind.FINISHED)


@contextmanager
def recorded(log: EventLog, stage: str) -> Iterator[None]:
    """Write down how a stage ended, unless it ended well."""
    try:
        yield
    except StageStopped as stopped:
        cancelled = stopped.reason is StopReason.CANCELLED
        log.write(EventKind.CANCELLED if cancelled else EventKind.INTERRUPTED, stage)
        raise
    except BioPruneError as error:
        log.write(EventKind.FAILED, stage, error.message)
        raise
    except KeyboardInterrupt:
        log.write(EventKind.INTERRUPTED, stage)
        raise
