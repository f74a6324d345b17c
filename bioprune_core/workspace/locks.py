"""Locks on directories: no two processes ever compute the same thing.

A lock is the kernel's `flock` on a file in the directory. It ends with the process that holds it, however
that process ends, so nothing stale is ever left behind.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bioprune_core.claims import open_lock, take_lock
from bioprune_core.errors import ConflictError, StorageError
from bioprune_core.storage import storage_error
from bioprune_core.workspace.names import timestamp

__all__ = ["JOB_LOCK", "STAGE_LOCK", "hold", "is_held"]

JOB_LOCK = ".job.lock"
"""Held by the process that drives the stages of a directory one after the other."""

STAGE_LOCK = ".stage.lock"
"""Held by the child process that computes a stage."""

_RETRY_S = 0.05
_QUICK_S = 5.0
_SLOW_RETRY_S = 0.5
"""Between two tries after `_QUICK_S`: on a network file system each is a message to the server."""


@contextmanager
def hold(
    path: Path, what: str, wait_s: float = 2.0, while_held: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock file `path` for the duration of the block.

    Args:
        path: The lock file; made when missing.
        what: What is locked, for the message: "run run-2026...".
        wait_s: How long to wait for another holder before giving up, in seconds; may be infinite.
        while_held: Called again and again while another process holds it, with what is known of that one:
            " (process 12 on ...)", or nothing. May raise, to wait no longer.

    Raises:
        ConflictError: Another process holds the lock; names it.
        StorageError: The file cannot be made, or its file system knows no locks.
    """
    descriptor = open_lock(path)
    try:
        _acquire(descriptor, path, what, wait_s, while_held)
        _describe_holder(descriptor, path)
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


def _acquire(
    descriptor: int, path: Path, what: str, wait_s: float, while_held: Callable[[str], None] | None
) -> None:
    started = time.monotonic()
    while not take_lock(descriptor, path):
        waited = time.monotonic() - started
        if waited >= wait_s:
            raise ConflictError(
                f"Another process works on {what}{_holder(descriptor)}. Wait until it has finished, or "
                "cancel it, and start again."
            )
        if while_held is not None:
            while_held(_holder(descriptor))
        time.sleep(_RETRY_S if waited < _QUICK_S else _SLOW_RETRY_S)


def _describe_holder(descriptor: int, path: Path) -> None:
    holder = {"process": os.getpid(), "host": socket.gethostname(), "since": timestamp()}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    except OSError as error:
        raise storage_error(error, path) from error


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1024, 0))
    except ValueError:
        return ""  # Taken this very moment, not yet described.
    return f" (process {holder['process']} on {holder['host']} since {holder['since']})"
