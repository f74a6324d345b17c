"""What state a dataset, model or run is in, told from its files alone."""

from enum import StrEnum
from pathlib import Path

from bioprune_core.workspace.events import EventKind, recent_events
from bioprune_core.workspace.locks import JOB_LOCK, is_held

__all__ = ["MANIFEST_FILE", "State", "is_complete", "state_of"]

MANIFEST_FILE = "manifest.json"
"""Written last: a directory is complete exactly when it holds this file."""


class State(StrEnum):
    """The state of a computation."""

    NEW = "new"
    """Nothing has happened yet; perhaps a job waits in the queue."""
    RUNNING = "running"
    """A process works on it now."""
    INTERRUPTED = "interrupted"
    """It was started, and nobody works on it now. Starting again continues where it stopped."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def is_complete(directory: Path) -> bool:
    """Whether the directory's manifest is there, and with it everything else."""
    return (directory / MANIFEST_FILE).is_file()


def state_of(directory: Path) -> State:
    """The state of a dataset, model or run directory."""
    if is_complete(directory):
        return State.DONE
    if is_held(directory / JOB_LOCK):
        return State.RUNNING
    for event in reversed(recent_events(directory)):
        if event.kind is EventKind.FAILED:
            return State.FAILED
        if event.kind is EventKind.CANCELLED:
            return State.CANCELLED
        return State.INTERRUPTED
    return State.NEW
