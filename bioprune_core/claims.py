"""Claims on pieces of work that several processes share: whoever holds a file's lock does the piece.

The lock is the kernel's `flock`, so a claim ends with its process, however that ends. Where a network file
system keeps locks to one machine, two machines may do the same piece twice: the same bytes, each put in place
as a whole.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bioprune_core.errors import StorageError
from bioprune_core.storage import storage_error

__all__ = ["claimed", "finish_together", "open_lock", "take_lock"]

_LOOK_S = 0.5
Result = TypeVar("Result")


def open_lock(path: Path) -> int:
    """A descriptor of the lock file `path`, made when missing. Closing it lets go of the lock.

    Raises:
        StorageError: The file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not inheritable (Python's default), so no child keeps the lock beyond its parent.
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise storage_error(error, path) from error


def take_lock(descriptor: int, path: Path, kind: int = fcntl.LOCK_EX) -> bool:
    """Try to take the lock of an open lock file, for oneself or (`LOCK_SH`) beside others who only look.

    Raises:
        StorageError: The file system knows no locks.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise StorageError(
                f"The file system of {path.parent} knows no file locks. Put the workspace on one that does "
                "(a local disk, NFS 4, Lustre mounted with -o flock).",
                detail=str(error),
            ) from error
        raise storage_error(error, path) from error
    return True


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Try to hold the lock file `path` for the duration of the block; tells whether it is held.

    Raises:
        StorageError: The file cannot be made, or its file system knows no locks.
    """
    descriptor = open_lock(path)
    try:
        yield take_lock(descriptor, path)
    finally:
        os.close(descriptor)


def finish_together(
    pieces: int, finish: Callable[[int], Result], claims: Path, *, wait: bool
) -> list[Result | None]:
    """Finish all pieces of a work together with whatever other processes call this with the same folder.

    Args:
        pieces: How many there are, numbered from 0.
        finish: Does piece i, or finds it done.
        claims: Folder of the lock files.
        wait: Whether to see every piece done, those of others included; what a process that died had claimed
            is done here then. Otherwise those that others hold are left to them.

    Returns:
        What `finish` gave for each piece; None for those left to others.
    """
    results: list[Result | None] = [None] * pieces
    todo = list(range(pieces))
    while todo:
        held_elsewhere = []
        for piece in todo:
            with claimed(claims / f"{piece:05d}.lock") as mine:
                if mine:
                    results[piece] = finish(piece)
                else:
                    held_elsewhere.append(piece)
        if not wait:
            break
        todo = held_elsewhere
        if todo:
            time.sleep(_LOOK_S)
    return results
