"""Claims on pieces of work that several processes share: whoever holds a file's lock does the piece.

The lock is the kernel's `flock`, so a claim ends with its process, however that ends. Where a network file
system keeps locks to one machine, two machines may do the same piece twice: the same bytes, each put in place
as a whole.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bioprune_core.storage import storage_error

__all__ = ["claimed", "finish_together"]

_LOOK_S = 0.5
Result = TypeVar("Result")


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Try to hold the lock file `path` for the duration of the block; tells whether it is held.

    Raises:
        StorageError: The file cannot be made, or its file system knows no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = True
        except BlockingIOError:
            mine = False
        except OSError as error:
            raise storage_error(error, path) from error
        yield mine
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
