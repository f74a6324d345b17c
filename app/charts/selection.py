"""Pictures of a selection: strata and budget, overlap with another coreset."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.charts.axis import hatching, log_count_axis
from app.queries.coverage import Overlap
from app.theme import Palette, figure_layout

__all__ = ["StrataBudget", "overlap_chart", "strata_chart"]


@dataclass(frozen=True, slots=True)
class StrataBudget:
    """What a selection takes from each stratum.

    Args:
        low: Lower edges of the score, shape (k,).
        high: Upper edges, shape (k,).
        available: Sequences in each stratum, shape (k,).
        taken: Sequences selected from each, shape (k,).
        share: The equal share: what each stratum could give if all held enough.
        removed: Sequences that the hardest cut takes away.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    available: NDArray[np.int64]
    taken: NDArray[np.int64]
    share: float
    removed: int


def strata_chart(
    budget: StrataBudget, palette: Palette, *, score: str = "influence", height: int = 380
) -> go.Figure:
    """Bars per stratum on a log scale: all its sequences grey, those in the coreset in the accent.

    Args:
        budget: What is drawn.
        palette: Colours.
        score: What the strata are intervals of.
        height: Pixels.
    """
    count = len(budget.available)
    index = np.arange(1, count + 1)
    hover = np.stack(
        [
            np.array(
                [f"{low:,.4g} to {high:,.4g}" for low, high in zip(budget.low, budget.high, strict=True)]
            ),
            [f"{value:,}" for value in budget.taken],
            [f"{value:,}" for value in budget.available],
            [f"{value:,}" for value in budget.available - budget.taken],
        ],
        axis=1,
    )
    template = (
        f"{score} "
        "%{customdata[0]}<br>in the coreset %{customdata[1]}<br>available %{customdata[2]}"
        "<br>left out %{customdata[3]}<extra>stratum %{x}</extra>"
    )
    figure = go.Figure()
    for name, values, colour in (
        ("available", budget.available, palette.context),
        ("in the coreset", budget.taken, palette.accent),
    ):
        figure.add_bar(
            x=index,
            y=values,
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            customdata=hover,
            hovertemplate=template,
        )
    if budget.removed:
        figure.add_bar(
            x=[count + 2],
            y=[budget.removed],
            name="removed by the hardest cut",
            marker={"color": palette.removed, "pattern": hatching("/", palette)},
            hovertemplate=f"{budget.removed:,} sequences above {score} {budget.high[-1]:,.4g}"
            "<extra>removed</extra>",
        )
    if budget.share > 0:
        figure.add_scatter(
            x=[0.5, count + 0.5],
            y=[budget.share, budget.share],
            mode="lines",
            line={"color": palette.text, "width": 1.5, "dash": "dash"},
            name="equal share",
            hovertemplate=f"equal share of the budget: {budget.share:,.1f} a stratum<extra></extra>",
        )
    figure.update_layout(
        **figure_layout(
            "Budget per stratum",
            f"Stratum of {score}",
            "Sequences (log scale)",
            height=height,
            palette=palette,
        )
    )
    top = max(10, int(budget.available.max(initial=0)), budget.removed)
    figure.update_layout(
        barmode="overlay",
        bargap=0.12,
        showlegend=True,
        dragmode=False,
        xaxis=_index_axis(count, bool(budget.removed)),
        yaxis=log_count_axis(top),
        uirevision="strata",
    )
    return figure


def overlap_chart(
    shared: Overlap, first: str, second: str, palette: Palette, *, height: int = 170
) -> go.Figure:
    """Two selections as one bar: only in the first, in both, only in the second."""
    figure = go.Figure()
    for name, value, colour in (
        (f"only in {first}", shared.first_only, palette.accent),
        ("in both", shared.both, palette.text),
        (f"only in {second}", shared.second_only, palette.removed),
    ):
        figure.add_bar(
            x=[value],
            y=[""],
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"color": palette.background, "width": 2}},
            # No room for a figure on less than a twentieth of the bar; hovering still tells.
            text=f"{value:,}" if 20 * value > shared.both + shared.first_only + shared.second_only else "",
            textangle=0,
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate=f"{name}: %{{x:,}} sequences<extra></extra>",
        )
    figure.update_layout(**figure_layout("Overlap", "Sequences", "", height=height, palette=palette))
    figure.update_layout(
        barmode="stack",
        dragmode=False,
        yaxis={"visible": False},
        uirevision="overlap",
        legend={"traceorder": "normal"},
        xaxis={"nticks": 6, "tickformat": ","},
    )
    return figure


def _index_axis(count: int, removed: bool) -> dict[str, object]:
    step = next(step for step in (1, 2, 5, 10, 20, 25, 50, 100, count) if count / step <= 12 or step == count)
    ticks = sorted({1, *range(step, count + 1, step)})
    names: Sequence[str] = [str(tick) for tick in ticks]
    if removed:
        ticks, names = [*ticks, count + 2], [*names, "cut"]
    return {
        "range": [0.3, count + (2.7 if removed else 0.7)],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": names,
        "fixedrange": True,
    }
