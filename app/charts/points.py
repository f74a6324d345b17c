"""The points of a map: what their colour tells, their size, and the density and context below them."""

from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.category_names import REST, category_name
from app.formatting import amount
from app.queries.embedding_map import Density
from app.strata import REMOVED, Strata
from app.theme import Palette, category_colours, influence_scale, strata_colours

__all__ = [
    "POINT_HOVER",
    "ColourBy",
    "amount_traces",
    "category_traces",
    "context_trace",
    "density_trace",
    "marker_size",
    "point_data",
]

_NAME_LIMIT, _LONG_NAME_LIMIT = 18, 60
"""Letters of a category's name in the legend, and where it is alone."""
POINT_HOVER = (
    "influence %{customdata[1]:,.4g}<br>length %{customdata[2]:,}<br>click for the sequence<extra></extra>"
)


class ColourBy(StrEnum):
    """What the colour of a point on the map tells."""

    INFLUENCE = "influence"
    STRATUM = "stratum"
    LOSS = "loss"
    LENGTH = "length"
    LABEL = "label"
    CLUSTER = "cluster"

    @property
    def is_category(self) -> bool:
        """Whether values are names rather than amounts."""
        return self in (ColourBy.LABEL, ColourBy.CLUSTER)


def density_trace(density: Density, palette: Palette) -> go.Heatmap:
    """Rows per cell in greys, on a log scale; empty cells are left out."""
    counts = np.where(density.counts > 0, np.log10(np.maximum(density.counts, 1)), np.nan).astype(np.float32)
    return go.Heatmap(
        x=density.x,
        y=density.y,
        z=counts,
        colorscale=[[0, palette.grid], [0.5, palette.line], [1, palette.context]],
        showscale=False,
        hoverinfo="skip",
        name="density",
    )


def context_trace(points: pd.DataFrame, palette: Palette) -> go.Scattergl:
    """Rows that are not selected."""
    return go.Scattergl(
        x=points["x"].to_numpy(np.float32),
        y=points["y"].to_numpy(np.float32),
        mode="markers",
        marker={"color": palette.context, "size": max(2.0, marker_size(len(points)) - 1), "opacity": 0.5},
        hoverinfo="skip",
        name="not selected",
        showlegend=False,
    )


def amount_traces(
    points: pd.DataFrame,
    colour: ColourBy,
    strata: Strata,
    palette: Palette,
    unit: str,
    span: tuple[float, float] | None,
) -> list[go.Scattergl]:
    """Points coloured by an amount, with its colour bar; coloured by stratum, the removed ones in grey.

    Args:
        points: Columns as `sample_points` returns them.
        colour: The amount.
        strata: Strata of influence, for `ColourBy.STRATUM`.
        palette: Colours.
        unit: Unit of a length, "nt" or "aa".
        span: Amounts at the two ends of the colour scale; None for strata, which are steps.
    """
    traces = []
    if colour is ColourBy.STRATUM and strata.has_removed:
        above = points["influence"] > strata.edges[-1]
        points, removed = points[~above], points[above]
        traces.append(_scatter(removed, {"color": palette.removed}, marker_size(len(points)), REMOVED))
    values, settings = _amounts(points, colour, strata, palette, unit, span)
    bar: dict[str, Any] = {
        "thickness": 10,
        "len": 0.72,
        "x": 1.01,
        "outlinewidth": 0,
        "tickfont": {"color": palette.muted, "size": 12},
        "title": {
            "text": settings.pop("title"),
            "side": "top",
            "font": {"color": palette.muted, "size": 12},
        },
        **settings.pop("bar"),
    }
    marker = {"color": values.astype(np.float32), "colorbar": bar, "showscale": True, **settings}
    return [*traces, _scatter(points, marker, marker_size(len(points)), "sequences")]


def _scatter(points: pd.DataFrame, marker: dict[str, Any], size: float, name: str) -> go.Scattergl:
    return go.Scattergl(
        x=points["x"].to_numpy(np.float32),
        y=points["y"].to_numpy(np.float32),
        mode="markers",
        marker={"size": size, "opacity": 0.85, **marker},
        customdata=point_data(points),
        hovertemplate=POINT_HOVER,
        name=name,
        showlegend=False,
    )


def _amounts(
    points: pd.DataFrame,
    colour: ColourBy,
    strata: Strata,
    palette: Palette,
    unit: str,
    span: tuple[float, float] | None,
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Values to colour by, with scale, range and colour bar."""
    if colour is ColourBy.STRATUM:
        bucket = np.searchsorted(strata.inner_edges, points["influence"], side="right").astype(np.float64)
        steps = strata_colours(len(strata), palette)
        scale = [
            [edge / len(steps), shade] for index, shade in enumerate(steps) for edge in (index, index + 1)
        ]
        ticks = sorted({0, (len(strata) - 1) // 2, len(strata) - 1})
        return bucket, {
            "title": "Stratum",
            "colorscale": scale,
            "cmin": -0.5,
            "cmax": len(strata) - 0.5,
            "bar": {"tickvals": ticks, "ticktext": [str(tick + 1) for tick in ticks]},
        }
    assert span is not None, "an amount has a colour scale"
    low, high = span
    if colour is ColourBy.INFLUENCE:
        # Influences of 0 have no logarithm and take the colour of the smallest.
        values = np.log10(np.maximum(points["influence"].to_numpy(np.float64), low))
        floor, top = np.log10([low, high])
        top = max(top, floor + 1e-9)
        decades = np.linspace(floor, top, 5).tolist()
        names = [amount(10**power, 2) for power in decades]
        return values, {
            "title": "Influence",
            "colorscale": influence_scale(palette),
            "cmin": floor,
            "cmax": top,
            "bar": {"tickvals": decades, "ticktext": [f"≤ {names[0]}", *names[1:-1], f"≥ {names[-1]}"]},
        }
    title = "Loss (nats/token)" if colour is ColourBy.LOSS else f"Length ({unit})"
    return points[colour.value].to_numpy(np.float64), {
        "title": title,
        "colorscale": "Tealgrn",
        "cmin": low,
        "cmax": max(high, low + 1e-9),
        "bar": {},
    }


def category_traces(
    points: pd.DataFrame, colour: ColourBy, categories: tuple[str | None, ...], palette: Palette
) -> list[go.Scattergl]:
    """One trace a category, None being a missing label; beyond those named, one for all others."""
    values = points[colour.value].astype("string")
    shown = categories[:8]
    colours = category_colours(shown, palette)
    inside = [
        (values.isna() if name is None else values.eq(name).fillna(False)).to_numpy(bool) for name in shown
    ]
    others = ~np.logical_or.reduce(inside) if inside else np.ones(len(points), dtype=bool)
    # All others first, so that what has a colour lies on top of them.
    groups = [(REST, palette.context, others, 1_001)] + [
        (category_name(name), colours[name], rows, rank)
        for rank, (name, rows) in enumerate(zip(shown, inside, strict=True))
    ]
    traces = []
    for name, shade, rows, rank in groups:
        if rows.any():
            trace = _scatter(points[rows], {"color": shade}, marker_size(len(points)), _short(name))
            # Eight colours are not told apart by everyone: the name is said, and longer than the legend's.
            # Not as Plotly says the name of a trace, in its colour: yellow on white is not read.
            trace.update(meta=_short(name, _LONG_NAME_LIMIT), hovertemplate=f"%{{meta}}<br>{POINT_HOVER}")
            traces.append(trace.update(showlegend=True, legendrank=rank))
    return traces


def point_data(points: pd.DataFrame) -> NDArray[Any]:
    """Position, influence, length: in single precision as long as it holds every position exactly."""
    exact = points["position"].max() < 1 << 24 if len(points) else True
    return points[["position", "influence", "length"]].to_numpy(np.float32 if exact else np.float64)


def marker_size(count: int) -> float:
    """Marker size in pixels: smaller for more points."""
    return float(np.clip(11 - 1.9 * np.log10(max(count, 1)), 2.5, 8))


def _short(name: str, limit: int = _NAME_LIMIT) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"
