"""The linked views of a run: distribution, map, key figures; each changes the brush, all show it."""

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.brush_state import change_brush, current_brush, set_point
from app.charts.distribution import bins_table, cumulative_chart, influence_histogram
from app.charts.embedding import ColourBy, MapLayers, map_chart, strata_maps
from app.components import KeyFigure, key_figures, note
from app.formatting import amount, percent
from app.influence_range import influence_range
from app.linked_chart import Gesture, GestureKind, linked_chart
from app.queries.brush import Brush
from app.queries.distribution import Axis
from app.queries.run_table import SAMPLE_ROWS
from app.run_data import OpenRun
from app.strata import Strata
from app.theme import current_palette

__all__ = ["HEIGHT", "ViewOptions", "distribution_view", "figures_row", "map_note", "map_view"]

HEIGHT = 470
"""Of the pictures, in pixels."""

_MOST_POINTS = 50_000
_CONTEXT_POINTS = 15_000
_PANELS = 11


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How the views are drawn.

    Args:
        axis: Scale of the influence axis.
        cumulative: Cumulative shares instead of a histogram.
        colour: What the colour of a point tells.
        by_stratum: Small maps, one a stratum, instead of a large one.
        strata: The strata drawn in.
        brush: What is selected.
        point: Position of the sequence that is looked at.
        categories: The categories with a colour of their own, where colour tells categories.
    """

    axis: Axis
    cumulative: bool
    colour: ColourBy
    by_stratum: bool
    strata: Strata
    brush: Brush
    point: int | None
    categories: tuple[str | None, ...] = ()


def figures_row(data: OpenRun, brush: Brush) -> None:
    """Key figures of what is selected, and the two correlations that are always reported."""
    shown, whole, selected = data.summary(brush), data.count(Brush()), data.count(brush)
    share = f"{percent(selected / whole)} of {whole:,}" if brush and whole else ""
    correlations = data.manifest["rank_correlations"]

    def correlation(label: str, column: str) -> KeyFigure:
        value = correlations[column]
        text = "none" if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
        return KeyFigure(
            label,
            text,
            help=f"Rank correlation (Spearman) with influence, on {correlations['rows']:,} sequences",
        )

    def figure(label: str, value: float | None, help_text: str = "", unit: str = "") -> KeyFigure:
        return KeyFigure(label, "none" if value is None else amount(value), unit, help=help_text)

    key_figures(
        [
            KeyFigure("Selected" if brush else "Sequences", f"{selected:,}", comment=share),
            figure("Median influence", shown.median, "Half of the sequences have less (approximate)."),
            figure("95th percentile", shown.high95, "19 of 20 sequences have less (approximate)."),
            figure("Largest influence", shown.high),
            figure("Mean loss", shown.loss, unit="nats/token"),
            correlation("Correlation, length", "tokens"),
            correlation("Correlation, loss", "loss"),
        ]
    )


def distribution_view(data: OpenRun, options: ViewOptions) -> None:
    """The histogram or the cumulative share; a box on it selects a range of influence."""
    whole = data.histogram(options.axis, Brush())
    selected = data.histogram(options.axis, options.brush) if options.brush else None
    draw = cumulative_chart if options.cumulative else influence_histogram
    figure = draw(
        whole,
        options.strata,
        current_palette(),
        selected=selected,
        brush=options.brush.influence,
        height=HEIGHT,
    )

    def changed(gesture: Gesture) -> None:
        brush = current_brush()
        if gesture.kind is GestureKind.CLEAR:
            change_brush(replace(brush, influence=None))
        elif gesture.kind is GestureKind.BOX:
            low, high = (10.0**bound if options.axis is Axis.LOG else bound for bound in gesture.x)
            change_brush(replace(brush, influence=(low, high)))

    linked_chart(
        figure,
        "distribution",
        changed,
        alt=f"Distribution of influence over {whole.total:,} sequences with {len(options.strata)} strata",
        brushed=options.brush.influence is not None,
        file_name=f"{data.run.name} influence",
        data=lambda: bins_table(whole, options.strata, selected).to_csv(index=False).encode(),
    )
    influence_range(data, options.brush)


def map_view(data: OpenRun, options: ViewOptions) -> None:
    """The map, or small maps per stratum; a lasso or box selects a region, a click a sequence."""
    layers = _layers(data, options)
    if layers is None:
        st.html('<p class="bp-note">This run was made without a map of embeddings.</p>')
        return
    palette = current_palette()
    if options.by_stratum:
        strata = Strata.merged(options.strata.edges, _PANELS, options.strata.has_removed)
        counts = data.strata_counts(strata, options.brush)
        figure = strata_maps(layers, strata, counts, palette, height=HEIGHT)
    else:
        figure = map_chart(
            layers,
            options.colour,
            options.strata,
            palette,
            span=_span(data, options.colour),
            categories=options.categories,
            unit=data.alphabet.unit,
            height=HEIGHT,
        )

    def changed(gesture: Gesture) -> None:
        brush = current_brush()
        if gesture.kind is GestureKind.POINT and gesture.data:
            set_point(int(gesture.data[0]))
        elif gesture.kind is GestureKind.CLEAR:
            change_brush(replace(brush, region=None))
        elif gesture.vertices:
            change_brush(replace(brush, region=gesture.vertices))

    linked_chart(
        figure,
        "map",
        changed,
        alt=f"Map of the embeddings of {layers.total:,} sequences, coloured by {options.colour.value}",
        brushed=options.brush.region is not None,
        clickable=True,
        file_name=f"{data.run.name} map",
        data=lambda: layers.points.to_csv(index=False).encode(),
    )


def _span(data: OpenRun, colour: ColourBy) -> tuple[float, float] | None:
    """The amounts at the ends of the colour scale: those of the whole run, whatever is brushed.

    Of its middle 98 %: a few extremes would leave all others one colour. What is beyond has that of the end.
    """
    if colour not in (ColourBy.INFLUENCE, ColourBy.LOSS, ColourBy.LENGTH):
        return None
    low, high = data.middle_range(colour.value)
    if colour is ColourBy.INFLUENCE and low <= 0:  # its scale is logarithmic
        low = data.extent.positive_low or 1.0
    return low, max(low, high)


def _layers(data: OpenRun, options: ViewOptions) -> MapLayers | None:
    extent = data.map_extent
    if extent is None:
        return None
    whole, brush = data.count(Brush()), options.brush
    total = data.count(brush)
    context = data.points(Brush(), _CONTEXT_POINTS) if brush else None
    points = data.points(brush, _MOST_POINTS - _CONTEXT_POINTS if brush else _MOST_POINTS)
    centre, near = _focus(data, options.point)
    return MapLayers(
        extent,
        points,
        total,
        density=data.density if whole > _MOST_POINTS else None,
        context=context,
        region=brush.region,
        centre=centre,
        near=near,
    )


def _focus(data: OpenRun, point: int | None) -> tuple[tuple[float, float] | None, NDArray[np.float64] | None]:
    if point is None:
        return None, None
    found = data.neighbours(point)
    if found.empty:
        return None, None
    places = found[["x", "y"]].to_numpy(np.float64)
    return (float(places[0, 0]), float(places[0, 1])), places[1:]


def map_note(data: OpenRun) -> None:
    """How the points of the map were drawn."""
    if data.is_sampled:
        note(
            f"Pictures and figures of a selection are drawn from a weighted sample of {SAMPLE_ROWS:,} "
            "sequences that keeps rare influences; numbers of sequences, the table and coresets are exact."
        )
    if data.count(Brush()) > _MOST_POINTS:
        note(
            f"At most {_MOST_POINTS:,} points are drawn, an equal share from every step of influence, so "
            "that rare high ones are seen. The grey below is the density of all sequences."
        )
