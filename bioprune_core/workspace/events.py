"""The append-only record of what happened to a dataset, model or run: `events.jsonl`.

A process may be killed in the middle of a line. The next writer begins a fresh line, and readers skip
the torn one: it held a progress figure that the next event supersedes.
"""

import errno
import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from bioprune_core.errors import StorageError
from bioprune_core.progress import Progress
from bioprune_core.storage import storage_error
from bioprune_core.workspace.names import timestamp

__all__ = [
    "EVENTS_FILE",
    "Event",
    "EventKind",
    "EventLog",
    "EventTail",
    "last_failure",
    "read_events",
    "recent_events",
]

EVENTS_FILE = "events.jsonl"
_TAIL_BYTES = 1 << 16
"""How much of the end of a log is read to find the last events: several hundred lines of about 150 bytes."""
_MESSAGE_LIMIT = 4_000
"""Longest message in characters, so that the last line is whole in the end that is read."""


class EventKind(StrEnum):
    """What an event says."""

    PROGRESS = "progress"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    STAGE_STARTED = "stage-started"
    STAGE_FINISHED = "stage-finished"
    STAGE_RESTARTED = "stage-restarted"
    NOTE = "note"
    """A sentence for the user that changes no state."""

    @property
    def is_state(self) -> bool:
        """Whether the event changes the state of the whole job, not only of a stage."""
        return self in _STATE_KINDS


_STATE_KINDS = frozenset(
    {
        EventKind.STARTED,
        EventKind.FINISHED,
        EventKind.FAILED,
        EventKind.CANCELLED,
        EventKind.INTERRUPTED,
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of an event log.

    Args:
        time: When, ISO 8601 in UTC.
        kind: What the event says.
        stage: The stage it belongs to; empty for events of the whole job.
        message: A sentence for the user; empty for plain progress.
        done: Units of work finished; only for progress.
        total: Units of work in all; None where unknown.
        unit: What is counted.
        metrics: Figures by name.
    """

    time: str
    kind: EventKind
    stage: str = ""
    message: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def progress(self) -> Progress | None:
        """The event as a progress message; None for every other kind."""
        if self.kind is not EventKind.PROGRESS:
            return None
        return Progress(self.stage, self.done, self.total, self.unit, self.metrics)


class EventLog:
    """Writes events to one directory's log, each as one line in one system call.

    Args:
        directory: Folder of a dataset, model or run.
        interval_s: Least time between two progress lines of a stage; the last one of a stage (done equal to
            total) is always written. A five-hour run at 0.25 s makes about 10 MB.
    """

    def __init__(self, directory: Path, interval_s: float = 0.25) -> None:
        self._path = directory / EVENTS_FILE
        self._interval_s = interval_s
        self._last_stage = ""
        self._last_time = -math.inf

    def report(self, progress: Progress) -> None:
        """Write a progress line, unless one of the same stage was written a moment ago. A `Reporter`."""
        now = time.monotonic()
        finished = progress.total is not None and progress.done >= progress.total
        recent = progress.stage == self._last_stage and now - self._last_time < self._interval_s
        if recent and not finished:
            return
        self._last_stage, self._last_time = progress.stage, now
        # JSON has no NaN: a figure that is none yet is left out rather than written as something else.
        metrics = {name: float(value) for name, value in progress.metrics.items() if math.isfinite(value)}
        self._append(
            {
                "time": timestamp(),
                "stage": progress.stage,
                "done": int(progress.done),
                "total": None if progress.total is None else int(progress.total),
                "unit": progress.unit,
                "metrics": metrics,
            }
        )

    def write(self, kind: EventKind, stage: str = "", message: str = "") -> None:
        """Write an event that is not progress; of a message beyond 4,000 characters the beginning."""
        if len(message) > _MESSAGE_LIMIT:
            message = f"{message[: _MESSAGE_LIMIT - 1]}…"
        self._append({"time": timestamp(), "event": kind.value, "stage": stage, "message": message})

    def _append(self, line: Mapping[str, Any]) -> None:
        data = (json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n").encode()
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data
                # On a disk that has room for a part of it, a part is written, and no error raised.
                if os.write(descriptor, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise storage_error(error, self._path) from error


class EventTail:
    """Reads a growing log bit by bit: each `poll` costs only what was added since the one before."""

    def __init__(self, directory: Path, *, from_end: bool = False) -> None:
        self._path = directory / EVENTS_FILE
        self._offset = self._size() if from_end else 0
        self._rest = b""

    def poll(self) -> list[Event]:
        """The events added since the last call, in order."""
        if self._size() < self._offset:
            # The directory was made anew, for instance after a deletion.
            self._offset, self._rest = 0, b""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"Could not read {self._path}.", detail=str(error)) from error
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return _parse(lines)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0


def read_events(directory: Path) -> list[Event]:
    """All events of a directory in the order written; empty where nothing has happened yet."""
    return EventTail(directory).poll()


def last_failure(directory: Path) -> str:
    """Why a directory failed last, a sentence; empty where the end of its log tells of no failure."""
    events = reversed(recent_events(directory))
    return next((event.message for event in events if event.kind is EventKind.FAILED), "")


def recent_events(directory: Path) -> list[Event]:
    """The last few hundred events, in order, at a cost independent of the length of the log."""
    path = directory / EVENTS_FILE
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            data = stream.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"Could not read {path}.", detail=str(error)) from error
    lines = data.split(b"\n")
    # Cut in the middle of a line unless the whole file was read; and what follows the last line end is torn.
    return _parse(lines[1 if size > _TAIL_BYTES else 0 : -1])


def _parse(lines: list[bytes]) -> list[Event]:
    events = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # Torn by a kill; see the head of this module.
        events.append(
            Event(
                time=record["time"],
                kind=EventKind(record.get("event", EventKind.PROGRESS)),
                stage=record.get("stage", ""),
                message=record.get("message", ""),
                done=record.get("done", 0),
                total=record.get("total"),
                unit=record.get("unit", ""),
                metrics=record.get("metrics", {}),
            )
        )
    return events
