import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_stages import make_target, plans

from bioprune_core.jobs import JobKind, JobStatus
from bioprune_core.jobs import reading as reading_module
from bioprune_core.jobs.context import record_file
from bioprune_core.jobs.heartbeats import Watch
from bioprune_core.jobs.kinds import directory_of
from bioprune_core.jobs.reading import describe, stage_eta
from bioprune_core.storage import write_json
from bioprune_core.workspace import Event, EventKind, EventLog
from bioprune_core.workspace.layout import Layout

START = datetime(2026, 11, 23, tzinfo=UTC)


def progress(second: float, done: int, total: int | None = 1_000) -> Event:
    time = (START + timedelta(seconds=second)).isoformat()
    return Event(time, EventKind.PROGRESS, "score", done=done, total=total, unit="sequences")


def test_the_time_left_follows_from_the_pace_of_the_last_minute() -> None:
    slow_start = [progress(0, 0), progress(100, 10), progress(110, 110), progress(160, 610)]
    # 600 in the 60 s from second 100: the 390 that remain take 39 s.
    assert stage_eta(slow_start) == pytest.approx(39)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [progress(0, 5)],
        [progress(0, 5), progress(0.5, 6)],
        [progress(0, 5), progress(30, 5)],
        [progress(0, 5, None), progress(30, 50, None)],
    ],
)
def test_without_a_pace_or_an_end_there_is_no_time_left(events: list[Event]) -> None:
    assert stage_eta(events) is None


def test_a_finished_stage_takes_no_more_time() -> None:
    assert stage_eta([progress(0, 0), progress(50, 1_000)]) == 0


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The directories whose log was read."""
    asked: list[Path] = []
    original = reading_module.recent_events

    def recent_events(directory: Path) -> list[Event]:
        asked.append(directory)
        return original(directory)

    monkeypatch.setattr(reading_module, "recent_events", recent_events)
    return asked


def _described(layout: Layout, status: str, error: Exception | None = None) -> Callable[..., JobStatus]:
    """Asks for a job of the run "run-1", of two stages, as the queue has it."""
    attributes = {"kind": "score", "target_id": "run-1"}
    times = dict.fromkeys(("created_at", "updated_at", "dequeued_at", "completed_at"), 1_000)
    job: Any = SimpleNamespace(
        workflow_id="job-1", status=status, attributes=attributes, error=error, executor_id="worker", **times
    )
    return lambda **settings: describe(job, layout, plans("quick", "shards"), {}, None, **settings)


def test_files_of_a_job_that_ended_are_read_again_only_when_they_changed(
    tmp_path: Path, read: list[Path]
) -> None:
    layout = Layout(tmp_path)
    directory = directory_of(layout, JobKind.SCORE, "run-1")
    make_target(directory)
    log, ask = EventLog(directory), _described(layout, "ERROR", ValueError("seven"))
    log.write(EventKind.FAILED, "quick", "The disk is full.")
    for _ in range(3):
        assert (ask().stage, ask().error) == ("quick", "The disk is full.")
    assert len(read) == 1
    # A command works on it after that: the job's own time in the queue stays as it was.
    write_json(record_file(directory, "quick"), {"seconds": 1.5})
    assert (ask().stage, ask().stages[0].seconds) == ("shards", 1.5)
    log.write(EventKind.FAILED, "shards", "The memory is full.")
    assert ask().error == "The memory is full."
    assert len(read) == 3
    shutil.rmtree(directory)
    assert (ask().stage, "seven" in str(ask().error)) == ("", True)


def test_files_of_a_job_at_work_are_read_every_time(tmp_path: Path, read: list[Path]) -> None:
    layout = Layout(tmp_path)
    make_target(directory_of(layout, JobKind.SCORE, "run-1"))
    ask = _described(layout, "PENDING")
    for _ in range(3):
        ask(detailed=False)
    assert len(read) == 3


def test_no_file_of_a_job_that_ended_is_read_where_nobody_looks(tmp_path: Path, read: list[Path]) -> None:
    layout = Layout(tmp_path)
    directory = directory_of(layout, JobKind.SCORE, "run-1")
    make_target(directory)
    EventLog(directory).write(EventKind.FAILED, "quick", "The disk is full.")
    status = _described(layout, "ERROR")(detailed=False)
    assert (status.state, status.stages, status.stage, status.error) == ("failed", (), "", None)
    assert read == []


def test_a_worker_is_dead_when_its_count_stood_still_for_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    watch = Watch("me", lease_s=20)
    assert watch.dead({"me": 1, "other": 5}) == {}
    for _ in range(4):
        now += 4
        assert watch.dead({"me": 1, "other": 5}) == {}
    now += 4
    assert watch.dead({"me": 1, "other": 5}) == {"other": 5}
    assert watch.dead({"me": 1, "other": 6}) == {}
    for _ in range(4):
        now += 5
        found = watch.dead({"me": 1, "other": 6, "new": 0})
    assert found == {"other": 6}


def test_nobody_is_dead_for_a_time_in_which_nobody_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As while the database is restarted: the others could not beat either."""
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    watch = Watch("me", lease_s=20)
    watch.dead({"me": 1, "other": 5})
    now += 600
    assert watch.dead({"me": 2, "other": 5}) == {}
    for _ in range(3):
        now += 5
        found = watch.dead({"me": 2, "other": 5})
    assert found == {"other": 5}
