"""The map of embeddings: density below, sampled points above, the brush around what is selected."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from app.charts.points import (
    POINT_HOVER,
    ColourBy,
    amount_traces,
    category_traces,
    context_trace,
    density_trace,
    point_data,
)
from app.queries.embedding_map import Density, MapExtent
from app.strata import Strata
from app.theme import Palette, figure_layout, strata_colours
from bioprune_core.selection.polygon import Vertices

__all__ = ["ColourBy", "MapLayers", "map_chart", "strata_maps"]


@dataclass(frozen=True, slots=True)
class MapLayers:
    """What is drawn on a map, from the bottom up.

    Args:
        extent: The fixed range of both axes.
        points: The rows drawn as points; columns as `sample_points` returns them.
        total: How many rows the points stand for.
        density: Rows per cell of the whole run; None where every row is a point.
        context: Rows that are not selected, drawn grey; None where everything is selected.
        region: The outline brushed.
        centre: Map coordinates of the sequence that is looked at.
        near: Map coordinates of its neighbours, shape (n, 2).
    """

    extent: MapExtent
    points: pd.DataFrame
    total: int
    density: Density | None = None
    context: pd.DataFrame | None = None
    region: Vertices | None = None
    centre: tuple[float, float] | None = None
    near: NDArray[np.float64] | None = None


def map_chart(
    layers: MapLayers,
    colour: ColourBy,
    strata: Strata,
    palette: Palette,
    *,
    span: tuple[float, float] | None = None,
    categories: tuple[str | None, ...] = (),
    unit: str = "letters",
    height: int = 560,
) -> go.Figure:
    """The map of one run.

    Args:
        layers: What to draw.
        colour: What the colour of a point tells.
        strata: Strata of influence, for `ColourBy.STRATUM`.
        palette: Colours.
        span: Amounts at the two ends of the colour scale, the whole run's, so that a brush leaves every
            colour as it was; None where colour tells strata or categories.
        categories: The categories to name, at most eight, None being a missing label; the others are one
            grey group.
        unit: Unit of a length, "nt" or "aa".
        height: Pixels.
    """
    figure = go.Figure()
    if layers.density is not None:
        figure.add_trace(density_trace(layers.density, palette))
    if layers.context is not None:
        figure.add_trace(context_trace(layers.context, palette))
    if colour.is_category:
        figure.add_traces(category_traces(layers.points, colour, categories, palette))
    else:
        figure.add_traces(amount_traces(layers.points, colour, strata, palette, unit, span))
    _add_focus(figure, layers, palette)
    drawn = len(layers.points)
    title = (
        "Map of embeddings"
        if drawn >= layers.total
        else f"Map of embeddings: {drawn:,} of {layers.total:,} drawn"
    )
    figure.update_layout(**figure_layout(title, "UMAP 1", "UMAP 2", height=height, palette=palette))
    figure.update_layout(
        dragmode="lasso",
        clickmode="event",
        hovermode="closest",
        uirevision="map",
        margin={"r": 130 if colour.is_category else 84},
        legend={
            "orientation": "v",
            "x": 1.01,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "itemsizing": "constant",
            "title": {"text": colour.value.capitalize()},
        },
        shapes=_outline(layers.region, palette),
        **_map_axes(layers.extent),
    )
    return figure


def strata_maps(
    layers: MapLayers,
    strata: Strata,
    counts: NDArray[np.int64],
    palette: Palette,
    *,
    columns: int = 4,
    height: int = 640,
) -> go.Figure:
    """One small map a stratum (or group of strata), the rest of the run as grey context in each.

    Args:
        layers: The points to draw, what is not selected, the outline brushed, and the extent.
        strata: At most three rows of panels; merge neighbours first (`Strata.merged`).
        counts: Rows per bucket in the whole run.
        palette: Colours.
        columns: Panels in a row.
        height: Pixels.
    """
    panels = min(strata.buckets, 3 * columns)
    rows = math.ceil(panels / columns)
    bucket = np.searchsorted(strata.inner_edges, layers.points["influence"], side="right")
    names = strata.intervals
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[f"{names[index]} ({counts[index]:,})" for index in range(panels)],
        horizontal_spacing=0.012,
        vertical_spacing=0.085,
    )
    colours = strata_colours(len(strata), palette) + [palette.removed] * strata.has_removed
    rest = layers.points if layers.context is None else layers.context
    behind = rest.iloc[:: max(1, len(rest) // 4_000)]
    for index in range(panels):
        row, column = divmod(index, columns)
        place = {"row": row + 1, "col": column + 1}
        figure.add_trace(context_trace(behind, palette), **place)
        inside = layers.points[bucket == index]
        figure.add_trace(
            go.Scattergl(
                x=inside["x"].to_numpy(np.float32),
                y=inside["y"].to_numpy(np.float32),
                mode="markers",
                marker={"color": colours[index], "size": 2.2, "opacity": 0.85},
                customdata=point_data(inside),
                hovertemplate=POINT_HOVER,
                name=names[index],
                showlegend=False,
            ),
            **place,
        )
    layout = figure_layout(
        "Map by influence, strata from least to most influential",
        "UMAP 1",
        "UMAP 2",
        height=height,
        palette=palette,
    )
    x_axis, y_axis = layout.pop("xaxis"), layout.pop("yaxis")
    figure.update_layout(**layout)
    figure.update_layout(
        margin={"t": 70, "l": 16, "b": 16, "r": 16},
        dragmode="lasso",
        clickmode="event",
        hovermode="closest",
        uirevision="strata-maps",
        shapes=[shape for panel in range(panels) for shape in _outline(layers.region, palette, panel)],
    )
    figure.update_annotations(font={"size": 12, "color": palette.muted})
    axes = _map_axes(layers.extent)
    figure.update_xaxes(**x_axis | axes["xaxis"] | {"title": None, "mirror": True})
    figure.update_yaxes(**y_axis | axes["yaxis"] | {"title": None, "mirror": True})
    return figure


def _add_focus(figure: go.Figure, layers: MapLayers, palette: Palette) -> None:
    # As WebGL traces like the points: SVG ones would lie below them.
    if layers.near is not None and len(layers.near):
        figure.add_scattergl(
            x=layers.near[:, 0],
            y=layers.near[:, 1],
            mode="markers",
            marker={"size": 9, "symbol": "circle-open", "color": palette.text, "line": {"width": 1.5}},
            hoverinfo="skip",
            name="nearest",
            showlegend=False,
        )
    if layers.centre is not None:
        figure.add_scattergl(
            x=[layers.centre[0]],
            y=[layers.centre[1]],
            mode="markers",
            marker={"size": 13, "color": palette.accent, "line": {"color": palette.background, "width": 2}},
            hoverinfo="skip",
            name="sequence",
            showlegend=False,
        )


def _outline(region: Vertices | None, palette: Palette, panel: int = 0) -> list[dict[str, Any]]:
    """The outline brushed, on the axes of one panel; they are called x, x2, x3 and so on."""
    if region is None:
        return []
    path = "M" + "L".join(f"{x:.6g},{y:.6g}" for x, y in region) + "Z"
    line = {"color": palette.accent, "width": 1.5, "dash": "dot"}
    axis = str(panel + 1) if panel else ""
    return [
        {"type": "path", "path": path, "xref": f"x{axis}", "yref": f"y{axis}", "line": line, "layer": "above"}
    ]


def _map_axes(extent: MapExtent) -> dict[str, dict[str, Any]]:
    """Fixed ranges, no ticks: UMAP coordinates have no unit and no zero."""
    bare = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False, "automargin": False}
    return {
        "xaxis": {**bare, "range": [extent.x_low, extent.x_high]},
        "yaxis": {**bare, "range": [extent.y_low, extent.y_high]},
    }
