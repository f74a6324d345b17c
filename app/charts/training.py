"""The loss of a training as it goes."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.theme import Palette, figure_layout

__all__ = ["loss_chart"]


def loss_chart(
    steps: Sequence[int],
    losses: Sequence[float],
    palette: Palette,
    *,
    total: int | None = None,
    held_out: tuple[Sequence[int], Sequence[float]] = ((), ()),
    title: str = "Subset fine-tuning",
    height: int = 300,
) -> go.Figure:
    """Masked-LM loss over optimiser steps with its running mean; the axis spans the whole training.

    Args:
        steps: Optimiser steps.
        losses: Loss at each, nats a masked token.
        palette: Colours.
        total: Steps in all, where known.
        held_out: Steps and losses on the held-out sequences, where measured.
        title: What is trained.
        height: Pixels.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=steps,
        y=losses,
        mode="lines",
        line={"color": palette.context, "width": 1},
        name="each step",
        hovertemplate="step %{x:,}: %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=steps,
        y=_running_mean(losses),
        mode="lines",
        line={"color": palette.accent, "width": 2},
        name="running mean",
        hovertemplate="mean up to step %{x:,}: %{y:.4f}<extra></extra>",
    )
    if held_out[0]:
        figure.add_scatter(
            x=held_out[0],
            y=held_out[1],
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


def _running_mean(values: Sequence[float], decay: float = 0.9) -> list[float]:
    """Exponential mean, corrected for its start as Adam's moments are."""
    means, mean = [], 0.0
    for count, value in enumerate(values, start=1):
        mean = decay * mean + (1 - decay) * value
        means.append(mean / (1 - decay**count))
    return means
