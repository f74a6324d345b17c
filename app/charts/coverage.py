"""What a selection covers: influence, categories and lengths, beside the pool and random."""

from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.category_names import category_name
from app.charts.axis import influence_axis, log_count_axis
from app.queries.distribution import Axis
from app.theme import Palette, figure_layout

__all__ = ["coverage_chart", "influence_coverage_chart", "length_coverage_chart"]


def influence_coverage_chart(
    edges: NDArray[np.float64],
    counts: dict[str, NDArray[np.int64]],
    selection: str,
    palette: Palette,
    *,
    height: int = 380,
) -> go.Figure:
    """The distribution of influence on log scales: the pool grey, what is selected in the accent.

    Args:
        edges: Bin edges as decimal logarithms of influence, shape (bins + 1,).
        counts: Rows per bin of "pool" and of the selection.
        selection: Name of the selection in `counts`.
        palette: Colours.
        height: Pixels.
    """
    figure = go.Figure()
    names = [f"{10**low:,.3g} to {10**high:,.3g}" for low, high in pairwise(edges)]
    hover = np.stack(
        [names, [f"{c:,}" for c in counts[selection]], [f"{c:,}" for c in counts["pool"]]], axis=1
    )
    for column, name, colour in (
        ("pool", "available", palette.context),
        (selection, "in the coreset", palette.accent),
    ):
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts[column],
            width=float(edges[1] - edges[0]),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            customdata=hover,
            hovertemplate="influence %{customdata[0]}<br>in the coreset %{customdata[1]}"
            "<br>available %{customdata[2]}<extra></extra>",
        )
    figure.update_layout(
        **figure_layout(
            "What is in, what is left",
            "Self-influence (dimensionless, log scale)",
            "Sequences per bin (log scale)",
            height=height,
            palette=palette,
        )
    )
    figure.update_layout(
        barmode="overlay",
        bargap=0,
        showlegend=True,
        dragmode=False,
        xaxis=influence_axis(Axis.LOG, float(edges[0]), float(edges[-1])),
        yaxis=log_count_axis(int(counts["pool"].max(initial=1))),
        uirevision="influence-coverage",
    )
    return figure


def coverage_chart(
    counts: pd.DataFrame, selection: str, control: str, palette: Palette, *, name: str, height: int = 420
) -> go.Figure:
    """The share of each category that is kept, by the selection and by random, largest category on top.

    Args:
        counts: Rows to show of `CategoryCoverage.largest`, with columns for both.
        selection: Column of the coreset.
        control: Column of the random control.
        palette: Colours.
        name: What the categories are, such as "Label".
        height: Pixels.
    """
    rows = counts.iloc[::-1]
    names = [category_name(None if pd.isna(category) else category) for category in rows["category"]]
    # Places, not names: two long names may be short for the same.
    places = np.arange(len(rows))
    kept, random = (rows[column] / rows["pool"] for column in (selection, control))
    figure = go.Figure()
    # One trace for all connecting lines: NaN lifts the pen.
    gap = np.full(len(rows), np.nan)
    figure.add_scatter(
        x=np.stack([random, kept, gap], axis=1).ravel(),
        y=np.repeat(places, 3),
        mode="lines",
        line={"color": palette.context, "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )
    for column, label, values, colour, size in (
        (control, "random, same size", random, palette.muted, 7),
        (selection, "this selection", kept, palette.accent, 9),
    ):
        figure.add_scatter(
            x=values,
            y=places,
            mode="markers",
            marker={"color": colour, "size": size},
            name=label,
            customdata=np.stack([np.array(names, dtype=object), rows[column], rows["pool"]], axis=1),
            hovertemplate="%{customdata[0]}<br>%{x:.2%} kept: %{customdata[1]:,} of %{customdata[2]:,}"
            f"<extra>{label}</extra>",
        )
    top = max(float(kept.max()), float(random.max()), 1e-9) if len(rows) else 1.0
    figure.update_layout(
        **figure_layout(
            f"Share of {name.lower()} kept", "Share of the category kept", "", height=height, palette=palette
        )
    )
    figure.update_layout(
        xaxis={
            "range": [-0.02 * top, 1.06 * top],
            "tickformat": ".0%" if top > 0.05 else ".1%",
            "showgrid": True,
        },
        yaxis={
            "tickvals": places,
            "ticktext": [_short(name) for name in names],
            "range": [-0.5, len(rows) - 0.5],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        dragmode=False,
        uirevision=f"coverage-{name}",
    )
    return figure


def length_coverage_chart(
    edges: NDArray[np.float64],
    counts: dict[str, NDArray[np.int64]],
    names: dict[str, str],
    palette: Palette,
    *,
    unit: str,
    height: int = 420,
) -> go.Figure:
    """Lengths of pool, selection and random as outlines of equal area.

    Args:
        edges: Bin edges in letters, shape (bins + 1,).
        counts: Rows per bin by column, "pool" first.
        names: The name of each column in the legend.
        palette: Colours.
        unit: "nt" or "aa".
        height: Pixels.
    """
    colours = dict(zip(counts, (palette.context, palette.accent, palette.muted), strict=False))
    figure = go.Figure()
    for column, values in counts.items():
        share = values / max(1, int(values.sum())) / np.diff(np.log(edges))
        figure.add_scatter(
            x=edges,
            y=[*share, share[-1]],
            mode="lines",
            line={
                "shape": "hv",
                "color": colours[column],
                "width": 2,
                "dash": "dot" if colours[column] == palette.muted else "solid",
            },
            fill="tozeroy" if column == "pool" else None,
            fillcolor=palette.grid if column == "pool" else None,
            name=names[column],
            customdata=[f"{value:,} sequences" for value in [*values, values[-1]]],
            hovertemplate="%{customdata} from %{x:,.0f} " + unit + f"<extra>{names[column]}</extra>",
        )
    figure.update_layout(
        **figure_layout(
            "Length",
            f"Length ({unit}, log scale)",
            "Density over log length",
            height=height,
            palette=palette,
        )
    )
    figure.update_layout(
        xaxis={"type": "log", **_length_ticks(edges)},
        yaxis={"rangemode": "tozero"},
        dragmode=False,
        uirevision="coverage-length",
    )
    return figure


def _length_ticks(edges: NDArray[np.float64]) -> dict[str, object]:
    ticks = [
        part * 10**power
        for power in range(6)
        for part in (1, 2, 5)
        if edges[0] <= part * 10**power <= edges[-1]
    ]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:,}" for tick in ticks]}


def _short(name: str, limit: int = 22) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"
