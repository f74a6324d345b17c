import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bioprune_core.errors import DiskFullError
from bioprune_core.progress import Progress
from bioprune_core.workspace import (
    EventKind,
    EventLog,
    EventTail,
    State,
    read_events,
    state_of,
)
from bioprune_core.workspace.events import last_failure, recent_events


def progress(done: int, **metrics: float) -> Progress:
    return Progress("score", done, 1_000, "sequences", metrics)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    log = EventLog(tmp_path, interval_s=0)
    log.write(EventKind.STARTED)
    log.report(progress(5, loss=1.5))
    log.write(EventKind.FAILED, "score", "The disk is full.")
    started, step, failed = read_events(tmp_path)
    assert started.kind is EventKind.STARTED
    assert step.progress == progress(5, loss=1.5)
    assert (failed.kind, failed.stage, failed.message) == (EventKind.FAILED, "score", "The disk is full.")


def test_nothing_written_is_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path) == []
    assert recent_events(tmp_path) == []


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_torn_last_line_is_skipped_and_the_next_one_is_whole(tmp_path: Path, cut: int) -> None:
    log = EventLog(tmp_path, interval_s=0)
    log.report(progress(1))
    whole = (tmp_path / "events.jsonl").read_bytes()
    log.report(progress(2))
    both = (tmp_path / "events.jsonl").read_bytes()
    torn = both[: max(len(whole), len(both) - cut)]
    (tmp_path / "events.jsonl").write_bytes(torn)
    assert [event.done for event in read_events(tmp_path)] == [1]
    EventLog(tmp_path).report(progress(3))
    assert [event.done for event in read_events(tmp_path)] in ([1, 3], [1, 2, 3])
    assert (cut == 1) == (len(read_events(tmp_path)) == 3)  # Only the line end was missing: nothing is lost.


def test_an_event_that_the_disk_has_no_room_for_is_not_lost_in_silence(
    tmp_path: Path, files_end_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    log = EventLog(tmp_path)
    log.write(EventKind.STARTED)
    room = (tmp_path / "events.jsonl").stat().st_size + 20
    with files_end_at(room), pytest.raises(DiskFullError, match=r"No space left .*events\.jsonl"):
        log.write(EventKind.FAILED, "score", "The disk is full.")
    log.write(EventKind.FAILED, "score", "The disk was full.")
    assert [event.message for event in read_events(tmp_path)] == ["", "The disk was full."]


def test_a_tail_reads_each_event_once(tmp_path: Path) -> None:
    log, tail = EventLog(tmp_path, interval_s=0), EventTail(tmp_path)
    assert tail.poll() == []
    log.report(progress(1))
    log.report(progress(2))
    assert [event.done for event in tail.poll()] == [1, 2]
    with (tmp_path / "events.jsonl").open("ab") as stream:
        stream.write(b'{"time": "2026-11-23T00:00:00", "stage": "score", "done": 3, ')
    assert tail.poll() == []
    with (tmp_path / "events.jsonl").open("ab") as stream:
        stream.write(b'"total": 9, "unit": "sequences", "metrics": {}}\n')
    assert [event.done for event in tail.poll()] == [3]


def test_frequent_progress_is_thinned_but_the_last_one_stays(tmp_path: Path) -> None:
    log = EventLog(tmp_path, interval_s=60)
    for done in range(1, 1_001):
        log.report(progress(done))
    assert [event.done for event in read_events(tmp_path)] == [1, 1_000]


def test_figures_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    EventLog(tmp_path).report(progress(1, loss=math.nan, norm=math.inf, rate=2.0))
    assert read_events(tmp_path)[0].metrics == {"rate": 2.0}


@pytest.mark.parametrize("letter", ["x", "\x01", "日"])
def test_a_failure_with_a_long_message_stays_a_failure(tmp_path: Path, letter: str) -> None:
    EventLog(tmp_path).write(EventKind.FAILED, "score", f"Line 7: {letter * 100_000}")
    assert state_of(tmp_path) is State.FAILED
    assert last_failure(tmp_path).startswith(f"Line 7: {letter}")


def test_the_last_events_of_a_long_log_are_read_from_its_end(tmp_path: Path) -> None:
    log = EventLog(tmp_path, interval_s=0)
    for done in range(1_500):
        log.report(progress(done))
    log.write(EventKind.INTERRUPTED)
    *_, last, interrupted = recent_events(tmp_path)
    assert (last.progress, interrupted.kind) == (progress(1_499), EventKind.INTERRUPTED)
    assert len(recent_events(tmp_path)) < 1_500
