from datetime import UTC, datetime, timedelta

import pytest

from bioprune_core.jobs.heartbeats import Watch
from bioprune_core.jobs.reading import stage_eta
from bioprune_core.workspace import Event, EventKind

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


def test_a_worker_is_dead_when_its_count_stood_still_for_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    watch = Watch("me", lease_s=20)
    assert watch.dead({"me": 1, "other": 5}) == {}
    now += 19
    assert watch.dead({"me": 1, "other": 5}) == {}
    now += 1
    assert watch.dead({"me": 1, "other": 5}) == {"other": 5}
    assert watch.dead({"me": 1, "other": 6}) == {}
    now += 20
    assert watch.dead({"me": 1, "other": 6, "new": 0}) == {"other": 6}
