"""Reading ahead and writing behind: while a piece of work is computed, the next is read, the last is written.

One thread and one piece each, so memory is that of three pieces however many there are. What goes wrong in
a thread is raised in the one that computes, at its next step.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

__all__ = ["ReadAhead", "WriteBehind"]

Read = TypeVar("Read")


class ReadAhead(Generic[Read]):
    """Reads one piece ahead. A context manager, whose end waits for what it is reading.

    Args:
        read: Reads piece i.
    """

    def __init__(self, read: Callable[[int], Read]) -> None:
        self._read = read
        self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._ahead: tuple[int, Future[Read]] | None = None

    def begin(self, piece: int) -> None:
        """Begin to read the piece that will probably be taken next, after a `take`."""
        self._ahead = piece, self._thread.submit(self._read, piece)

    def take(self, piece: int) -> Read:
        """A piece: the one read ahead, or else read now. Raises whatever reading it does."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            guess, future = ahead
            if guess == piece:
                return future.result()
            # Were it in error, whoever takes that piece would meet the same.
            future.cancel()
        return self._read(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)


class WriteBehind:
    """Writes one piece behind. A context manager, whose end waits for what it is writing."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "write-behind")
        self._behind: Future[None] | None = None

    def wait(self) -> None:
        """Wait for the piece that is being written. Raises whatever writing it does."""
        behind, self._behind = self._behind, None
        if behind is not None:
            behind.result()

    def begin(self, write: Callable[[], None]) -> None:
        """Begin to write a piece, after a `wait`."""
        self._behind = self._thread.submit(write)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait()
        finally:
            self._thread.shutdown()
