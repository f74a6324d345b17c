"""The loss of a training as it goes."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from app.theme import Palette, figure_layout

__all__ = ["MOST_POINTS", "loss_chart"]

MOST_POINTS = 2_000
"""Points of a curve that are drawn at most, more than a chart has pixels."""
_DECAY = 0.9
"""Of the running mean, a step."""


def loss_chart(
    steps: ArrayLike,
    losses: ArrayLike,
    palette: Palette,
    *,
    total: int | None = None,
    held_out: tuple[ArrayLike, ArrayLike] = ((), ()),
    title: str = "Subset fine-tuning",
    height: int = 300,
) -> go.Figure:
    """Masked-LM loss over optimiser steps with its running mean; the axis spans the whole training.

    Of a long curve the lowest and the highest step of every stretch are drawn, and the last; the running
    mean is then that of the stretches' means, over as many steps as ever.

    Args:
        steps: Optimiser steps, ascending, shape (S,).
        losses: Loss at each, nats a masked token, shape (S,).
        palette: Colours.
        total: Steps in all, where known.
        held_out: Steps and losses on the held-out sequences, where measured.
        title: What is trained.
        height: Pixels.
    """
    at, values = np.asarray(steps), np.asarray(losses, dtype=np.float64)
    width = _stretch(len(values))
    shown = _extremes(values, width)
    ends, means = _means(values, width)
    figure = go.Figure()
    figure.add_scatter(
        x=at[shown],
        y=values[shown],
        mode="lines",
        line={"color": palette.context, "width": 1},
        name="each step" if width == 1 else "lowest and highest",
        hovertemplate="step %{x:,}: %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=at[ends],
        y=_running_mean(means.tolist(), _DECAY**width),
        mode="lines",
        line={"color": palette.accent, "width": 2},
        name="running mean",
        hovertemplate="mean up to step %{x:,}: %{y:.4f}<extra></extra>",
    )
    held_at, held = np.asarray(held_out[0]), np.asarray(held_out[1], dtype=np.float64)
    if len(held):
        shown = _extremes(held, _stretch(len(held)))
        figure.add_scatter(
            x=held_at[shown],
            y=held[shown],
            mode="markers",
            marker={"color": palette.text, "size": 7},
            name="held out",
            hovertemplate="held out, step %{x:,}: %{y:.4f}<extra></extra>",
        )
    figure.update_layout(
        **figure_layout(
            title,
            "Optimiser step",
            "Loss (nats per masked token)",
            height=height,
            palette=palette,
        )
    )
    figure.update_layout(dragmode=False, uirevision="loss", hovermode="x")
    if total:
        figure.update_xaxes(range=[0, total])
    return figure


def _stretch(count: int) -> int:
    """Points of a stretch that two are drawn of; 1 draws all.

    A power of two: the stretches of a growing curve stay where they are until it has doubled.
    """
    width = 1
    while count > MOST_POINTS and -(-count // width) > MOST_POINTS // 2:
        width *= 2
    return width


def _extremes(values: NDArray[np.float64], width: int) -> NDArray[np.int64]:
    """Where the lowest and the highest value of every stretch are, and the last value; ascending."""
    count = len(values)
    if width == 1:
        return np.arange(count)
    stretches = np.pad(values, (0, -count % width), mode="edge").reshape(-1, width)
    starts = np.arange(0, count, width)
    found = (starts + stretches.argmin(axis=1), starts + stretches.argmax(axis=1), [count - 1])
    return np.unique(np.concatenate(found))


def _means(values: NDArray[np.float64], width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where each stretch ends, and its mean."""
    count = len(values)
    if not count:
        return np.arange(0), values
    starts = np.arange(0, count, width)
    ends = np.minimum(starts + width, count) - 1
    return ends, np.add.reduceat(values, starts) / (ends - starts + 1)


def _running_mean(values: Sequence[float], decay: float) -> list[float]:
    """Exponential mean, corrected for its start as Adam's moments are."""
    means, mean = [], 0.0
    for count, value in enumerate(values, start=1):
        mean = decay * mean + (1 - decay) * value
        means.append(mean / (1 - decay**count))
    return means
