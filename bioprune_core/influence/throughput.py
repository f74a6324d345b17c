"""Progress of a pass with its measured throughput, at a rate that a log or a page can take."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bioprune_core.progress import Progress, Reporter

__all__ = ["ThroughputMeter"]

SECONDS_BETWEEN_REPORTS = 0.2


class ThroughputMeter:
    """Counts sequences and tokens and reports at most five times a second, first and last count included.

    Rates are averages over the work done by this process: shards found finished count as done, not as speed.

    Args:
        stage: Name of the stage in its reports.
        total: Sequences in all.
        report: Who is told.
    """

    def __init__(self, stage: str, total: int, report: Reporter) -> None:
        self._stage = stage
        self._total = total
        self._report = report
        self._done = 0
        self._computed = 0
        self._tokens = 0
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._computing = 0
        self._computing_s = 0.0
        self._computing_since = 0.0
        self._reported = float("-inf")
        self._tell()

    @property
    def device_busy(self) -> float | None:
        """Share of the time in `computing`, rather than waiting for files; None before anything was."""
        now = time.monotonic()
        with self._lock:
            busy = self._computing_s + (now - self._computing_since if self._computing else 0.0)
        return busy / (now - self._started) if busy else None

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Around what the device computes; times that overlap, of whatever threads, count once."""
        with self._lock:
            if not self._computing:
                self._computing_since = time.monotonic()
            self._computing += 1
        try:
            yield
        finally:
            with self._lock:
                self._computing -= 1
                if not self._computing:
                    self._computing_s += time.monotonic() - self._computing_since

    def skip(self, sequences: int) -> None:
        """Count sequences whose results were found on disk."""
        self._done += sequences
        # What is skipped takes time as well; the clock of the rates starts after it.
        if not self._computed:
            self._started = time.monotonic()
        self._tell()

    def advance(self, sequences: int, tokens: int) -> None:
        """Count sequences that were just computed, with their tokens."""
        self._done += sequences
        self._computed += sequences
        self._tokens += tokens
        self._tell()

    def finish(self) -> None:
        """Report the final state whenever the last report was."""
        self._reported = float("-inf")
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._reported < SECONDS_BETWEEN_REPORTS:
            return
        self._reported = now
        elapsed = now - self._started
        metrics = {}
        if self._computed and elapsed > 0:
            metrics = {"sequences_per_s": self._computed / elapsed, "tokens_per_s": self._tokens / elapsed}
            if (busy := self.device_busy) is not None:
                metrics["device_busy"] = busy
        self._report(Progress(self._stage, self._done, self._total, "sequences", metrics))
