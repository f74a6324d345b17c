"""The curve of a training at work is read bit by bit and drawn thinned, whatever its length."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.charts.training import MOST_POINTS, loss_chart
from app.theme import LIGHT
from app.training_curves import LiveCurve, TrainingCurve
from bioprune_core.progress import Progress
from bioprune_core.workspace import EventLog
from bioprune_core.workspace.events import EVENTS_FILE


def _report(folder: Path, steps: range, loss: float = 1.0, **metrics: float) -> None:
    log = EventLog(folder, interval_s=0)
    for step in steps:
        log.report(Progress("train", step, 100, "steps", {"loss": loss + step, **metrics}))


def test_a_curve_reads_only_what_was_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = LiveCurve(tmp_path, "train")
    assert len(curve.read().steps) == 0
    _report(tmp_path, range(1, 40))
    assert curve.read().steps.tolist() == list(range(1, 40))
    sizes: list[int] = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda line: sizes.append(len(line)) or loads(line))
    _report(tmp_path, range(40, 42))
    whole = curve.read()
    assert whole.steps.tolist() == list(range(1, 42))
    assert whole.total == 100 and whole.metrics == {"loss": 42.0}
    # Two events and the torn rest of the file, which is empty.
    assert len(sizes) == 2 and sum(sizes) < (tmp_path / EVENTS_FILE).stat().st_size / 10


def test_what_a_resumed_training_repeats_counts_once(tmp_path: Path) -> None:
    curve = LiveCurve(tmp_path, "train")
    _report(tmp_path, range(1, 4), validation_step=0, validation_loss=3.0)
    _report(tmp_path, range(4, 9), validation_step=4, validation_loss=2.0)
    assert curve.read().held_steps.tolist() == [0, 4]
    _report(tmp_path, range(3, 4), loss=10.0, validation_step=0, validation_loss=3.0)
    _report(tmp_path, range(4, 7), loss=10.0, validation_step=4, validation_loss=2.5)
    again = curve.read()
    assert again.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert again.losses.tolist() == [2, 3, 13, 14, 15, 16]
    assert (again.held_steps.tolist(), again.held_losses.tolist()) == ([0, 4], [3.0, 2.5])


def test_events_of_other_stages_and_units_are_no_steps(tmp_path: Path) -> None:
    log = EventLog(tmp_path, interval_s=0)
    log.report(Progress("score", 1, 2, "steps", {"loss": 1.0}))
    log.report(Progress("train", 1, 2, "sequences", {"loss": 1.0}))
    log.report(Progress("train", 1, 2, "steps", {}))
    assert len(LiveCurve(tmp_path, "train").read().steps) == 0


@pytest.mark.parametrize("count", [1, MOST_POINTS, MOST_POINTS + 1, 4 * MOST_POINTS + 3, 1_000_000])
def test_a_long_curve_is_drawn_with_few_points_its_extremes_and_its_end(count: int) -> None:
    losses = np.random.default_rng(0).normal(2.0, 0.1, count)
    losses[count // 3], losses[count // 2] = 9.0, -9.0
    figure = loss_chart(np.arange(1, count + 1), losses, LIGHT, total=count)
    curve, mean = figure.data
    assert len(curve.x) == len(curve.y) <= MOST_POINTS + 1
    assert len(curve.x) == count or count > MOST_POINTS
    assert (np.diff(curve.x) > 0).all()
    assert curve.x[-1] == mean.x[-1] == count
    assert np.array_equal(curve.y, losses[curve.x - 1])
    assert {losses.min(), losses.max()} <= set(curve.y)
    assert len(mean.x) <= MOST_POINTS


def test_a_running_mean_of_stretches_is_as_high_as_that_of_all_steps() -> None:
    """Of the drawn extremes it would be halfway between them."""
    losses = np.tile([1.0, 1.0, 1.0, 5.0], 25_000)
    mean = loss_chart(np.arange(len(losses)), losses, LIGHT).data[1]
    assert np.allclose(mean.y, 2.0)


def test_a_running_mean_does_not_lag_behind_a_long_curve() -> None:
    losses = np.linspace(3.0, 1.0, 100_000)
    mean = loss_chart(np.arange(len(losses)), losses, LIGHT).data[1]
    assert np.abs(mean.y - losses[mean.x]).max() < 2 * 2.0 / MOST_POINTS


def test_the_data_of_a_curve_has_every_step() -> None:
    steps = np.arange(1, 5_001)
    nothing = np.array([])
    curve = TrainingCurve(steps, steps / 7, nothing, nothing, 5_000, {})
    lines = curve.csv().decode().splitlines()
    assert lines[0] == "step,loss" and len(lines) == 5_001
    assert lines[-1] == f"5000,{5_000 / 7!r}"
