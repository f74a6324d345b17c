"""The loss of a training step by step: of one at work as its events tell, of a finished one as it is kept."""

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from bioprune_core.storage import read_json
from bioprune_core.workspace import EventTail

__all__ = ["LiveCurve", "TrainingCurve", "fine_tuning_curve", "live_curve", "pretraining_curve"]


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """The losses of a training so far.

    Args:
        steps: Optimiser steps, ascending, int64, shape (S,).
        losses: Loss at each, nats a masked token, float64, shape (S,).
        held_steps: Steps after which the loss on held-out sequences was measured, int64, shape (H,).
        held_losses: That loss, float64, shape (H,).
        total: Steps in all; None where unknown.
        metrics: Figures of the latest step by name; empty for a finished training.
    """

    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    held_steps: NDArray[np.int64]
    held_losses: NDArray[np.float64]
    total: int | None
    metrics: Mapping[str, float]

    def csv(self) -> bytes:
        """Steps and losses as a table with a head."""
        rows = (f"{step},{loss!r}\n" for step, loss in zip(self.steps, self.losses.tolist(), strict=True))
        return ("step,loss\n" + "".join(rows)).encode()


class LiveCurve:
    """Follows the event log of a training; each `read` costs only what was added since the one before.

    Args:
        directory: Folder of the model or run.
        stage: The stage that trains.
    """

    def __init__(self, directory: Path, stage: str) -> None:
        self._tail = EventTail(directory)
        self._stage = stage
        self._lock = Lock()
        self._steps, self._losses = array("q"), array("d")
        self._held_steps, self._held_losses = array("q"), array("d")
        self._total: int | None = None
        self._metrics: Mapping[str, float] = {}

    def read(self) -> TrainingCurve:
        """The curve up to now; a few events a second, so short steps are thinned."""
        with self._lock:
            for event in self._tail.poll():
                if event.stage == self._stage and event.unit == "steps" and "loss" in event.metrics:
                    self._add(event.done, event.metrics)
                    self._total, self._metrics = event.total, event.metrics
            return TrainingCurve(
                np.array(self._steps),
                np.array(self._losses),
                np.array(self._held_steps),
                np.array(self._held_losses),
                self._total,
                self._metrics,
            )

    def _add(self, step: int, metrics: Mapping[str, float]) -> None:
        # A resumed training reports the steps since its last checkpoint again; the later report counts.
        _cut(self._steps, self._losses, step)
        self._steps.append(step)
        self._losses.append(metrics["loss"])
        _cut(self._held_steps, self._held_losses, step)
        # Each step tells the last one measured.
        if "validation_step" in metrics:
            measured = int(metrics["validation_step"])
            if not self._held_steps or measured > self._held_steps[-1]:
                self._held_steps.append(measured)
                self._held_losses.append(metrics["validation_loss"])


def _cut(steps: "array[int]", losses: "array[float]", step: int) -> None:
    """Remove a step and what came after it."""
    if steps and steps[-1] >= step:
        first = bisect_left(steps, step)
        del steps[first:], losses[first:]


@st.cache_resource(max_entries=32, show_spinner=False)
def live_curve(directory: Path, stage: str) -> LiveCurve:
    """The follower of a training, shared by everybody who watches it.

    40,000 events (10 MB) take 0.3 s to read: too much for every 2 s and every viewer.
    """
    return LiveCurve(directory, stage)


def fine_tuning_curve(directory: Path) -> TrainingCurve:
    """Every step of a finished run's fine-tuning."""
    path = directory / "adapted" / "convergence.json"
    return _fine_tuning(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner=False)
def _fine_tuning(path: Path, modified: int) -> TrainingCurve:  # noqa: ARG001 - what the cache goes by
    return _finished(np.array(read_json(path)["loss_curve"], dtype=np.float64), [])


@st.cache_resource(max_entries=16, show_spinner=False)
def pretraining_curve(directory: Path, content_hash: str) -> TrainingCurve | None:  # noqa: ARG001 - likewise
    """Every step of a finished pretraining; None of a model that has no history.

    Args:
        directory: Folder of the model.
        content_hash: Of the trained model.
    """
    # Imported late: the history stands beside the training loop, and few visits need it.
    from bioprune_core.training import TrainingHistory

    history = TrainingHistory.read(directory)
    if history is None:
        return None
    return _finished(np.array(history.curve.loss, dtype=np.float64), history.validation)


def _finished(losses: NDArray[np.float64], validation: list[tuple[int, float]]) -> TrainingCurve:
    return TrainingCurve(
        np.arange(1, len(losses) + 1),
        losses,
        np.array([step for step, _ in validation], dtype=np.int64),
        np.array([loss for _, loss in validation], dtype=np.float64),
        len(losses),
        {},
    )
