"""The distribution of influence: histogram over its strata, and its cumulative share."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.charts.axis import hatching, influence_axis, on_axis
from app.queries.distribution import Axis, Histogram
from app.strata import REMOVED, Strata
from app.theme import Palette, figure_layout, strata_colours

__all__ = ["bins_table", "cumulative_chart", "influence_histogram"]

_STRIP = 0.055
"""Height of the band of strata as a share of the plot."""


def influence_histogram(
    whole: Histogram,
    strata: Strata,
    palette: Palette,
    *,
    selected: Histogram | None = None,
    brush: tuple[float, float] | None = None,
    height: int = 360,
) -> go.Figure:
    """Bars of sequences per bin of influence, coloured by stratum, with the strata as a band below.

    Args:
        whole: All rows of the run.
        strata: Where the strata lie; what is removed is hatched.
        palette: Colours.
        selected: The rows brushed, on the same bins; the rest is then drawn as grey context.
        brush: Lowest and highest influence brushed, drawn as a frame.
        height: Pixels.
    """
    low, high = float(whole.edges[0]), float(whole.edges[-1])
    centres = (whole.edges[:-1] + whole.edges[1:]) / 2
    width = float(whole.edges[1] - whole.edges[0])
    bounds = np.array([on_axis(edge, whole.axis, low) for edge in strata.edges])
    stratum, removed = _strata_of(centres, bounds, strata)
    colours = np.array(strata_colours(len(strata), palette), dtype=object)[stratum]

    figure = go.Figure()
    shown = selected or whole
    if selected is not None:
        figure.add_bar(
            x=centres,
            y=whole.counts,
            width=width,
            marker={"color": palette.context, "line": {"width": 0}},
            hoverinfo="skip",
            name="all",
        )
    figure.add_bar(
        x=centres,
        y=shown.counts,
        width=width,
        marker={
            "color": np.where(removed, palette.removed, colours).tolist(),
            "line": {"width": 0},
            "pattern": hatching(np.where(removed, "/", "").tolist(), palette),
        },
        customdata=_hover(whole, stratum, removed, shown.counts),
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        name="selected" if selected is not None else "sequences",
    )
    _add_strata_band(figure, strata, bounds, high, palette)
    layout = figure_layout(
        "Distribution of influence", _axis_name(whole), _count_name(whole), height=height, palette=palette
    )
    figure.update_layout(**layout)
    figure.update_layout(
        barmode="overlay",
        bargap=0,
        showlegend=False,
        dragmode="select",
        selectdirection="h",
        hovermode="closest",
        xaxis={**influence_axis(whole.axis, low, high), "anchor": "y2"},
        yaxis={
            "domain": [_STRIP + 0.03, 1.0],
            "rangemode": "tozero",
            "fixedrange": True,
            **_count_axis(whole),
        },
        yaxis2={"domain": [0.0, _STRIP], "visible": False, "fixedrange": True, "range": [0, 1]},
        shapes=_brush_frame(brush, whole.axis, low, palette),
        uirevision=f"distribution-{whole.axis.value}",
    )
    return figure


def cumulative_chart(
    whole: Histogram,
    strata: Strata,
    palette: Palette,
    *,
    selected: Histogram | None = None,
    brush: tuple[float, float] | None = None,
    height: int = 360,
) -> go.Figure:
    """The share of sequences at or below an influence; what is brushed beside the whole run."""
    low, high = float(whole.edges[0]), float(whole.edges[-1])
    figure = go.Figure()
    series: list[tuple[str, Histogram, str, float]] = [
        ("all sequences", whole, palette.muted if selected else palette.accent, 2)
    ]
    if selected is not None:
        series.append(("selected", selected, palette.accent, 2.5))
    for name, histogram, colour, width in series:
        figure.add_scatter(
            x=histogram.edges,
            y=_cumulative(histogram),
            mode="lines",
            line={"color": colour, "width": width, "shape": "linear"},
            name=name,
            hovertemplate="%{y:.2%} at or below %{customdata}<extra>" + name + "</extra>",
            customdata=_edge_names(histogram),
        )
    bounds = np.array([on_axis(edge, whole.axis, low) for edge in strata.edges])
    _add_strata_band(figure, strata, bounds, high, palette)
    figure.update_layout(
        **figure_layout(
            "Cumulative share of sequences",
            _axis_name(whole),
            "Share of sequences",
            height=height,
            palette=palette,
        )
    )
    figure.update_layout(
        bargap=0,
        showlegend=selected is not None,
        dragmode="select",
        selectdirection="h",
        hovermode="x unified",
        xaxis={**influence_axis(whole.axis, low, high), "anchor": "y2"},
        yaxis={"domain": [_STRIP + 0.03, 1.0], "range": [0, 1.01], "tickformat": ".0%", "fixedrange": True},
        yaxis2={"domain": [0.0, _STRIP], "visible": False, "fixedrange": True, "range": [0, 1]},
        shapes=_brush_frame(brush, whole.axis, low, palette),
        uirevision=f"distribution-{whole.axis.value}",
    )
    return figure


def bins_table(whole: Histogram, strata: Strata, selected: Histogram | None = None) -> pd.DataFrame:
    """What both pictures are drawn from, to download.

    Args:
        whole: All rows of the run.
        strata: Where the strata lie.
        selected: The rows brushed, on the same bins; None where nothing is brushed.

    Returns:
        Columns from and to (influence), stratum (of the middle of the bin: from 1, or "removed"), sequences
        and, with a brush, selected; one row a bin. Influences of 0 have a row of their own on a log axis, the
        first.
    """
    low = float(whole.edges[0])
    bounds = np.array([on_axis(edge, whole.axis, low) for edge in strata.edges])
    stratum, removed = _strata_of((whole.edges[:-1] + whole.edges[1:]) / 2, bounds, strata)
    edges = 10.0**whole.edges if whole.axis is Axis.LOG else whole.edges
    names = [REMOVED if gone else str(index + 1) for index, gone in zip(stratum, removed, strict=True)]
    counted = {"sequences": whole} | ({} if selected is None else {"selected": selected})
    zeros = whole.zeros > 0
    return pd.DataFrame(
        {
            "from": [0.0] * zeros + edges[:-1].tolist(),
            "to": [0.0] * zeros + edges[1:].tolist(),
            "stratum": ["1"] * zeros + names,
            **{name: [each.zeros] * zeros + each.counts.tolist() for name, each in counted.items()},
        }
    )


def _strata_of(
    centres: NDArray[np.float64], bounds: NDArray[np.float64], strata: Strata
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The stratum of each bin, from 0, and whether the hardest cut removes it; both of shape (bins,)."""
    stratum = np.clip(np.searchsorted(bounds, centres, side="right") - 1, 0, len(strata) - 1)
    removed = (centres > bounds[-1]) if strata.has_removed else np.zeros(len(centres), dtype=bool)
    return stratum, removed


def _add_strata_band(
    figure: go.Figure, strata: Strata, bounds: NDArray[np.float64], high: float, palette: Palette
) -> None:
    """One bar a stratum on the second axis, in the quantised steps of the influence scale."""
    ends = [*bounds, high] if strata.has_removed else list(bounds)
    starts, stops = np.array(ends[:-1]), np.array(ends[1:])
    colours = strata_colours(len(strata), palette)
    patterns = [""] * len(strata)
    if strata.has_removed:
        colours, patterns = [*colours, palette.removed], [*patterns, "/"]
    figure.add_bar(
        x=(starts + stops) / 2,
        y=np.ones(len(starts)),
        width=stops - starts,
        yaxis="y2",
        marker={
            "color": colours,
            "line": {"width": 0},
            "pattern": hatching(patterns, palette),
        },
        customdata=np.array([strata.names, strata.intervals]).T,
        hovertemplate="%{customdata[1]}<extra>stratum %{customdata[0]}</extra>",
        name="strata",
        showlegend=False,
    )
    if strata.has_removed and high - bounds[-1] > 0.18 * (high - bounds[0]):
        figure.add_annotation(
            x=(bounds[-1] + high) / 2,
            y=0.5,
            yref="y2",
            text="removed by the hardest cut",
            showarrow=False,
            font={"size": 11, "color": palette.muted},
            bgcolor=palette.background,
            borderpad=1,
        )


def _brush_frame(
    brush: tuple[float, float] | None, axis: Axis, low: float, palette: Palette
) -> list[dict[str, Any]]:
    if brush is None:
        return []
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": on_axis(brush[0], axis, low),
            "x1": on_axis(brush[1], axis, low),
            "y0": 0,
            "y1": 1,
            "line": {"color": palette.accent, "width": 1.5, "dash": "dot"},
            "layer": "above",
        }
    ]


def _hover(
    whole: Histogram, stratum: NDArray[np.int64], removed: NDArray[np.bool_], counts: NDArray[np.int64]
) -> NDArray[np.object_]:
    names = _edge_names(whole)
    rows = [
        (
            f"influence {names[index]} to {names[index + 1]}",
            "removed by the hardest cut" if removed[index] else f"stratum {stratum[index] + 1}",
            f"{counts[index]:,} of {whole.counts[index]:,} sequences"
            if counts is not whole.counts
            else f"{counts[index]:,} sequences",
        )
        for index in range(len(counts))
    ]
    return np.array(rows, dtype=object)


def _edge_names(histogram: Histogram) -> list[str]:
    values = 10.0**histogram.edges if histogram.axis is Axis.LOG else histogram.edges
    return [f"{value:,.3g}" for value in values]


def _cumulative(histogram: Histogram) -> NDArray[np.float64]:
    running = np.concatenate([[0], np.cumsum(histogram.counts)]) + histogram.zeros
    share: NDArray[np.float64] = running / max(1, histogram.total)
    return share


def _axis_name(histogram: Histogram) -> str:
    name = (
        "Self-influence (dimensionless, log scale)"
        if histogram.axis is Axis.LOG
        else "Self-influence (dimensionless)"
    )
    return f"{name}; {histogram.zeros:,} sequences at 0 not drawn" if histogram.zeros else name


def _count_name(histogram: Histogram) -> str:
    return "Sequences per bin" if histogram.axis is Axis.LOG else "Sequences per bin (log scale)"


def _count_axis(histogram: Histogram) -> dict[str, Any]:
    """On a linear axis one bin holds nearly everything, so its counts are drawn on a log scale."""
    if histogram.axis is Axis.LOG:
        return {"range": [0, 1.05 * max(1, int(histogram.counts.max()))], "tickformat": ","}
    return {
        "type": "log",
        "range": [-0.3, 1.05 * float(np.log10(max(10, int(histogram.counts.max()))))],
        "dtick": 1,
        "exponentformat": "none",
    }
