"""Claims on pieces of work that several processes share: whoever holds a file's lock does the piece.

The lock is the kernel's `flock`, so a claim ends with its process, however that ends. Where a network file
system keeps locks to one machine, two machines may do the same piece twice: the same bytes, each put in place
as a whole.

Whoever is to see everything done takes the claims of a process that hangs away from it: it removes the lock
file and makes another. The other one, should it go on, finds its claim lost and drops what it has computed.
"""

import errno
import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from bioprune_core.errors import StorageError
from bioprune_core.overlap import ReadAhead, WriteBehind
from bioprune_core.storage import storage_error

__all__ = ["claimed", "finish_together", "open_lock", "take_lock"]

_LOOK_S = 0.5
_PATIENCE_S = 60.0
_PATIENCE_PIECES = 5.0
"""What others hold is waited for so long, or so many times as long as the longest of one's own took."""

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
    seems_finished: Callable[[int], bool] = lambda _: False,
    tell: Callable[[str], None] = lambda _: None,
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
            that is called in another thread, in the order of the pieces computed, unless the claim is lost.
        claims: Folder of the lock files.
        wait: Whether to see every piece done, those of others included; what a process that died had claimed,
            or one that hangs, is done here then. Otherwise those that others hold are left to them.
        seems_finished: Tells at a glance that piece i is probably done. Who does not wait leaves such pieces
            alone, unread; who waits makes sure.
        tell: Told in a sentence that claims are taken away from others.

    Returns:
        What is known of each piece; None for those left to others.
    """
    leave: Callable[[int], bool] = (lambda _: False) if wait else seems_finished
    work: _Work[Read, Result] = _Work(compute, claims, leave, [None] * pieces)
    # Read ahead without a claim, since pieces that are claimed and not yet computed would leave helpers idle
    # where there are few. Helpers go through them in an order of their own: in the same order all would read
    # ahead the one piece that only the first of them gets.
    todo = list(range(pieces)) if wait else random.sample(range(pieces), pieces)
    with WriteBehind() as behind, ReadAhead(read) as ahead:
        while todo:
            work.go_through(todo, ahead, behind)
            if not wait:
                break
            todo = [piece for piece in todo if piece not in work.finished]
            if todo and work.patience.is_over():
                tell(
                    f"{len(todo)} of {pieces} pieces are held by other processes and do not get finished. "
                    "Nothing else is left to do, so they are computed here. See whether a worker hangs."
                )
                for piece in todo:
                    work.lock(piece).unlink(missing_ok=True)
                work.patience.begin_anew(0)
            elif todo:
                time.sleep(_LOOK_S)
    return work.results


class _Patience:
    """How long to wait for what others hold when nothing else is left to do."""

    def __init__(self) -> None:
        self._longest_s = 0.0
        self._since = time.monotonic()

    def begin_anew(self, seconds: float) -> None:
        """A piece was finished in so many seconds, or claims were taken away."""
        self._longest_s = max(self._longest_s, seconds)
        self._since = time.monotonic()

    def is_over(self) -> bool:
        """Whether nothing was finished here for too long."""
        return time.monotonic() - self._since > max(_PATIENCE_S, _PATIENCE_PIECES * self._longest_s)


class _ClaimLost(Exception):
    """Another process has taken the claim away."""


@dataclass(frozen=True, slots=True, eq=False)
class _Work(Generic[Read, Result]):
    """Pieces and what is known of them. Args: as of `finish_together`."""

    compute: Callable[[int, Read, ExitStack], Callable[[], Result]]
    claims: Path
    leave: Callable[[int], bool]
    results: list[Result | None]
    finished: set[int] = field(default_factory=set)
    patience: _Patience = field(default_factory=_Patience)

    def lock(self, piece: int) -> Path:
        """The lock file of a piece."""
        return self.claims / f"{piece:05d}.lock"

    def go_through(self, todo: Sequence[int], ahead: ReadAhead[Read], behind: WriteBehind) -> None:
        """Do those pieces that nobody else holds."""
        for place, piece in enumerate(todo):
            if self.leave(piece):
                continue
            with ExitStack() as claim:
                descriptor = open_lock(self.lock(piece))
                claim.callback(os.close, descriptor)
                if not take_lock(descriptor, self.lock(piece)):
                    continue
                given = ahead.take(piece)
                following = next((each for each in todo[place + 1 :] if not self.leave(each)), None)
                if following is not None:
                    ahead.begin(following)
                started = time.monotonic()
                write = self.compute(piece, given, claim)
                behind.wait()
                behind.begin(partial(self._write_down, piece, started, write, descriptor, claim.pop_all()))
        behind.wait()

    def _write_down(
        self, piece: int, started: float, write: Callable[[], Result], descriptor: int, claim: ExitStack
    ) -> None:
        # The claim is left in error where it is lost, so that what it has half written is dropped too.
        with suppress(_ClaimLost), claim:
            if not _is_current(descriptor, self.lock(piece)):
                raise _ClaimLost
            self.results[piece] = write()
            self.finished.add(piece)
            self.patience.begin_anew(time.monotonic() - started)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether an open lock file is the one at `path` still."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
