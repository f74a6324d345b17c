"""Locks on directories: no two processes ever compute the same thing.

A lock is the kernel's `flock` on a file in the directory. It ends with the process that holds it, however
that process ends, so nothing stale is ever left behind.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bioprune_core.claims import open_lock, take_lock
from bioprune_core.errors import ConflictError, StorageError
from bioprune_core.workspace.names import timestamp

__all__ = ["JOB_LOCK", "STAGE_LOCK", "hold", "is_held"]

JOB_LOCK = ".job.lock"
"""Held by the process that drives the stages of a directory one after the other."""

STAGE_LOCK = ".stage.lock"
"""Held by the child process that computes a stage."""

_RETRY_S = 0.05


@contextmanager
def hold(path: Path, what: str, wait_s: float = 2.0) -> Iterator[None]:
    """Hold the lock file `path` for the duration of the block.

    Args:
        path: The lock file; made when missing.
        what: What is locked, for the message: "run run-2026...".
        wait_s: How long to wait for another holder before giving up, in seconds.

    Raises:
        ConflictError: Another process holds the lock; names it.
        StorageError: The file cannot be made, or its file system knows no locks.
    """
    descriptor = open_lock(path)
    try:
        _acquire(descriptor, path, what, wait_s)
        _describe_holder(descriptor)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"Could not open {path}.", detail=str(error)) from error
    try:
        # Shared, so that two who only ask do not see each other; a holder-to-be tries again in a moment.
        return not take_lock(descriptor, path, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, what: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while not take_lock(descriptor, path):
        if time.monotonic() >= deadline:
            raise ConflictError(
                f"Another process works on {what}{_holder(descriptor)}. Wait until it has finished, or "
                "cancel it, and start again."
            )
        time.sleep(_RETRY_S)


def _describe_holder(descriptor: int) -> None:
    holder = {"process": os.getpid(), "host": socket.gethostname(), "since": timestamp()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1024, 0))
    except ValueError:
        return ""  # Taken this very moment, not yet described.
    return f" (process {holder['process']} on {holder['host']} since {holder['since']})"
