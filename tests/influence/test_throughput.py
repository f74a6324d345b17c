"""Progress comes at a rate that a page can follow, and its rates are those of this process's own work."""

import pytest

from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.progress import Progress


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bioprune_core.influence.throughput.time", clock)
    return clock


def test_at_most_five_reports_a_second_and_the_last_one_always(clock: Clock) -> None:
    messages: list[Progress] = []
    meter = ThroughputMeter("score", 1000, messages.append)
    for _ in range(1000):
        clock.now += 0.01
        meter.advance(1, 20)
    meter.finish()
    assert messages[0].done == 0
    assert 45 <= len(messages) <= 52
    assert (messages[-1].done, messages[-1].total, messages[-1].unit) == (1000, 1000, "sequences")
    assert messages[-1].metrics["sequences_per_s"] == pytest.approx(100)
    assert messages[-1].metrics["tokens_per_s"] == pytest.approx(2000)


def test_shards_found_finished_are_progress_but_not_speed(clock: Clock) -> None:
    messages: list[Progress] = []
    meter = ThroughputMeter("score", 300, messages.append)
    clock.now += 50.0
    meter.skip(200)
    assert messages[-1].done == 200 and not messages[-1].metrics
    clock.now += 10.0
    meter.advance(100, 500)
    assert messages[-1].done == 300
    assert messages[-1].metrics == {"sequences_per_s": 10.0, "tokens_per_s": 50.0}


def test_the_device_is_busy_while_it_computes_and_not_while_it_waits(clock: Clock) -> None:
    messages: list[Progress] = []
    meter = ThroughputMeter("score", 300, messages.append)
    assert meter.device_busy is None
    for wait, work in ((1.0, 3.0), (0.0, 4.0)):
        clock.now += wait
        with meter.computing():
            clock.now += work / 2
            meter.advance(50, 100)
            clock.now += work / 2
            meter.advance(50, 100)
    assert messages[1].metrics["device_busy"] == pytest.approx(1.5 / 2.5)
    assert messages[-1].metrics["device_busy"] == pytest.approx(7 / 8)
    clock.now += 2.0
    assert meter.device_busy == pytest.approx(0.7)


def test_shards_computed_at_the_same_time_count_once(clock: Clock) -> None:
    meter = ThroughputMeter("score", 300, lambda _: None)
    first, second = meter.computing(), meter.computing()
    first.__enter__()
    clock.now += 2.0
    second.__enter__()
    clock.now += 1.0
    first.__exit__(None, None, None)
    clock.now += 3.0
    second.__exit__(None, None, None)
    clock.now += 2.0
    assert meter.device_busy == pytest.approx(6 / 8)
