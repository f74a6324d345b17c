"""Explore: the influence of every sequence of a run, on linked views that a person brushes."""

import streamlit as st

from app.brush_bar import brush_bar
from app.brush_state import current_brush, current_point
from app.category_controls import category_control
from app.charts.embedding import ColourBy
from app.components import page_header
from app.context import place
from app.explore_details import composition_view, picked_in_table, sequence_panel, table_view
from app.explore_views import ViewOptions, distribution_view, figures_row, map_note, map_view
from app.navigation import PageName, available, page, project_or_stop
from app.queries.brush import CategoryColumn
from app.queries.distribution import Axis
from app.run_data import OpenRun
from app.run_picker import open_or_stop, pick_run, run_or_stop
from app.strata_controls import address_of, percent_control, strata_control, strata_of
from bioprune_core.workspace import Project

_AXES = {Axis.LOG: "Log", Axis.LINEAR: "Linear"}


def render() -> None:
    """Draw the page."""
    project = project_or_stop()
    run = run_or_stop(project, "Explore")
    data = open_or_stop(run)
    _header(project, data)
    brush = current_brush()
    figures_row(data, brush)
    in_table = picked_in_table(current_point())
    controls, pictures = st.columns((1.2, 4.6), gap="medium")
    with controls:
        options = _options(data)
    with pictures:
        brush_bar(data, brush)
        left, right = st.columns((1, 1.25), gap="small")
        with left:
            distribution_view(data, options)
        with right:
            map_view(data, options)
        map_note(data)
        if options.point is not None and not in_table:
            sequence_panel(data, options.point)
        composition_view(data, options)
    st.header("Sequences", anchor=False)
    table_view(data, options, with_panel=in_table)


def _header(project: Project, data: OpenRun) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header("Explore", trail=[project.name, data.run.name])
        with st.container(horizontal=True, width="content"):
            pick_run(project, data.run, PageName.EXPLORE)
            if PageName.SELECT in available() and st.button(
                "Select a coreset", type="primary", key="to-select"
            ):
                st.switch_page(page(PageName.SELECT), query_params={**place().parameters(), **address_of()})


def _options(data: OpenRun) -> ViewOptions:
    """The controls on the left; all of them are in the address."""
    shape = st.segmented_control(
        "Distribution",
        ["Histogram", "Cumulative"],
        default="Histogram",
        required=True,
        key="shape",
        bind="query-params",
    )
    axis = st.segmented_control(
        "Influence axis",
        list(_AXES.values()),
        default="Log",
        required=True,
        key="axis",
        bind="query-params",
    )
    panels = st.segmented_control(
        "Map", ["One", "By stratum"], default="One", required=True, key="panels", bind="query-params"
    )
    by_stratum = panels == "By stratum"
    colours = [each.value for each in ColourBy]
    colour = st.selectbox(
        "Colour of the map",
        colours,
        format_func=str.capitalize,
        key="colour",
        bind="query-params",
        disabled=by_stratum,
        help="By stratum, each panel has the colour of its influence.",
    )
    by = ColourBy(colour)
    categories = category_control(data, CategoryColumn(by.value), not by_stratum) if by.is_category else ()
    kind, count = strata_control()
    beta = percent_control(
        "Hardest cut (beta, %)",
        "beta",
        5.0,
        "The share of the pool with the largest influence that is removed before strata are made. These are "
        "not the sequences with the largest loss; look at them here before removing them.",
    )
    return ViewOptions(
        axis=next(each for each, name in _AXES.items() if name == axis),
        cumulative=shape == "Cumulative",
        colour=by,
        by_stratum=by_stratum,
        strata=strata_of(data, beta, kind, count),
        brush=current_brush(),
        point=current_point(),
        categories=categories,
    )


if __name__ == "__main__":
    render()
