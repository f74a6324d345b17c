"""Select: tune alpha, beta and the strata on the whole pool, see what is in and out, save a coreset."""

import streamlit as st

from app.components import field_error, page_header
from app.context import place, workspace
from app.followed_default import follow_default
from app.formatting import count
from app.navigation import PageName, go, page, project_or_stop
from app.one_click import made_once
from app.run_data import OpenRun
from app.run_picker import open_or_stop, pick_run, run_or_stop
from app.selection_form import STRATEGY_NAMES, selection_form
from app.selection_views import coverage_view, figures_row, overlap_view, strata_view, warning_notes
from app.strata_controls import address_of
from bioprune_core.errors import BioPruneError, SelectionError
from bioprune_core.selection import SelectionConfig, SelectionSummary, Strategy
from bioprune_core.workspace import Coreset, Project, free_name


def render() -> None:
    """Draw the page."""
    project = project_or_stop()
    run = run_or_stop(project, "Select")
    data = open_or_stop(run)
    _header(project, data)
    figures = st.container()
    controls, pictures = st.columns((1, 3.6), gap="large")
    with controls:
        config = selection_form()
        if config is None:
            return
        try:
            summary = data.occupancy(config)
        except SelectionError as error:
            field_error(error.message)
            return
        _save(data, config, summary)
    with figures:
        figures_row(config, summary)
    with pictures:
        warning_notes(summary)
        strata_view(data, config, summary)
        st.header("Coverage against random", anchor=False)
        coverage_view(data, config, summary)
        coresets = [each for each in workspace().coresets(project) if each.run_id == run.id]
        if coresets:
            st.header("Overlap", anchor=False)
            overlap_view(data, config, coresets)


def _header(project: Project, data: OpenRun) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header("Select", trail=[project.name, data.run.name])
        with st.container(horizontal=True, width="content"):
            pick_run(project, data.run, PageName.SELECT)
            if st.button("Explore this run", key="to-explore"):
                parameters = {**place().within(coreset=None).parameters(), **address_of()}
                st.switch_page(page(PageName.EXPLORE), query_params=parameters)


def _save(data: OpenRun, config: SelectionConfig, summary: SelectionSummary) -> None:
    """Name the selection and save it as a coreset."""
    coresets = workspace().coresets(data.run.project_id)
    suggested = free_name(_name(config), (coreset.name for coreset in coresets))
    follow_default("coreset-name", suggested)
    name = st.text_input("Name of the coreset", max_chars=100, key="coreset-name")
    label = f"Save {count(summary.coreset_size, 'sequence')}"
    clicked = st.button(label, type="primary", key="save-coreset", width="stretch")

    def save() -> Coreset | None:
        try:
            with st.spinner("Saving the coreset"):
                return workspace().create_coreset(data.run, name, config)
        except BioPruneError as error:
            field_error(error.message)
            return None

    coreset = made_once("coreset", clicked, save)
    if coreset is not None:
        go(PageName.CORESETS, coreset=coreset.id)


def _name(config: SelectionConfig) -> str:
    """A name that tells the knobs: "CCI 90, cut 5, 50 strata, seed 0"."""
    short = STRATEGY_NAMES[config.strategy].partition(" (")[0]
    parts = [f"{short} {config.prune_rate}"]
    if config.strategy is Strategy.COVERAGE_CENTRIC:
        parts += [f"cut {config.hardest_cut}", f"{config.strata} {config.strata_kind.value} strata"]
    elif config.strategy is Strategy.LENGTH_STRATIFIED:
        parts.append(f"{config.strata} strata")
    if config.adjusts_length:
        parts.append("length-adjusted")
    return ", ".join([*parts, f"seed {config.seed}"])


if __name__ == "__main__":
    render()
