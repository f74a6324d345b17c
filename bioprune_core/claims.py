"""Claims on pieces of work that several processes share: whoever holds a file's lock does the piece.

The lock is the kernel's `flock`, so a claim ends with its process, however that ends. Where a network file
system keeps locks to one machine, two machines may do the same piece twice: the same bytes, each put in place
as a whole.
"""

import errno
import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from bioprune_core.errors import StorageError
from bioprune_core.overlap import ReadAhead, WriteBehind
from bioprune_core.storage import storage_error

__all__ = ["claimed", "finish_together", "open_lock", "take_lock"]

_LOOK_S = 0.5
Read = TypeVar("Read")
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
    pieces: int,
    read: Callable[[int], Read],
    compute: Callable[[int, Read, ExitStack], Callable[[], Result]],
    claims: Path,
    *,
    wait: bool,
) -> list[Result | None]:
    """Finish all pieces of a work together with whatever other processes call this with the same folder.

    While a piece is computed, the next one is read and the one before is written. A piece is claimed from
    before it is computed until it is written.

    Args:
        pieces: How many there are, numbered from 0.
        read: Reads what piece i is computed from. In a thread of its own, and before the piece is claimed,
            so another process may have finished it when it is computed.
        compute: Computes piece i from that, or finds it done; what it enters into the stack is left when the
            piece is written, or has failed. Returns what writes the piece down and says what is known of it;
            that is called in another thread, in the order of the pieces computed.
        claims: Folder of the lock files.
        wait: Whether to see every piece done, those of others included; what a process that died had claimed
            is done here then. Otherwise those that others hold are left to them.

    Returns:
        What is known of each piece; None for those left to others.
    """
    results: list[Result | None] = [None] * pieces
    # Read ahead without a claim, since pieces that are claimed and not yet computed would leave helpers idle
    # where there are few. Helpers go through them in an order of their own: in the same order all would read
    # ahead the one piece that only the first of them gets.
    todo = list(range(pieces)) if wait else random.sample(range(pieces), pieces)

    def write_down(piece: int, write: Callable[[], Result], claim: ExitStack) -> None:
        with claim:
            results[piece] = write()

    with WriteBehind() as behind, ReadAhead(read) as ahead:
        while todo:
            held_elsewhere = []
            for place, piece in enumerate(todo):
                with ExitStack() as claim:
                    if not claim.enter_context(claimed(claims / f"{piece:05d}.lock")):
                        held_elsewhere.append(piece)
                        continue
                    given = ahead.take(piece)
                    if place + 1 < len(todo):
                        ahead.begin(todo[place + 1])
                    write = compute(piece, given, claim)
                    behind.wait()
                    behind.begin(partial(write_down, piece, write, claim.pop_all()))
            if not wait:
                break
            todo = held_elsewhere
            if todo:
                time.sleep(_LOOK_S)
    return results
