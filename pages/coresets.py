"""Coresets: the selections of a project, where each comes from, and taking it out in every format."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from app.components import (
    LINKS_DRAWN_ANEW_S,
    KeyFigure,
    download_links,
    empty_state,
    key_figures,
    list_figure,
    list_head,
    note,
    page_header,
    pairs,
)
from app.context import current_coreset, place, workspace
from app.coreset_views import STRATEGIES, coreset_figures, provenance, stratum_chart
from app.downloads import DownloadKind, download_url
from app.formatting import percent, time_html
from app.navigation import PageName, available, go, link, page, project_or_stop
from app.queries.brush import address_of
from app.record_editor import edit_popover
from app.recreate_form import recreate_form
from app.selection_form import beyond_reach, show_selection
from app.whole import NOT_WHOLE, manifest_of, not_whole_view
from bioprune_core.selection import PickedSelection, Selection, SelectionConfig, selection_from_json
from bioprune_core.workspace import Coreset, Project, methods_paragraph

_COLUMNS = {"Name": 4.0, "Sequences": 1.4, "Share": 1.2, "Strategy": 2.2, "Run": 3.0, "Made": 1.8}
_FORMATS = (
    ("FASTA", "fasta", "with descriptions"),
    ("FASTA, gzip", "fasta.gz", ""),
    ("CSV", "csv", "with scores"),
    ("Parquet", "parquet", "with scores"),
    ("Ids", "ids", "one a line"),
    ("Manifest", "json", "JSON"),
)


def render() -> None:
    """Draw the page."""
    project = project_or_stop()
    coreset = current_coreset(project)
    if coreset is not None:
        _coreset(project, coreset)
        return
    coresets = workspace().coresets(project)
    if coresets:
        _list(project, coresets)
        return
    _title(project)
    ready = PageName.SELECT in available() and bool(workspace().runs(project))
    if empty_state(
        "No coreset has been saved yet",
        "Choose how much to prune and which sequences stand for the rest, then save the selection."
        if ready
        else "A coreset is selected from the scores of a run. Score a dataset first.",
        "Select a coreset" if ready else "Go to the data",
    ):
        go(PageName.SELECT if ready else PageName.DATA)


def _title(project: Project) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header("Coresets", trail=[project.name])
        if workspace().runs(project):
            with st.popover("Re-create from a manifest", key="recreate"):
                made = recreate_form(project)
            if made is not None:
                go(PageName.CORESETS, coreset=made.id)


def _list(project: Project, coresets: list[Coreset]) -> None:
    _title(project)
    manifests = {coreset.id: manifest_of(coreset) for coreset in coresets}
    key_figures(
        [
            KeyFigure("Coresets", f"{len(coresets):,}"),
            KeyFigure("Runs they come from", f"{len({coreset.run_id for coreset in coresets}):,}"),
        ]
    )
    runs = {run.id: run.name for run in workspace().runs(project)}
    with st.container(key="list-coresets", gap=None):
        list_head(_COLUMNS, ("Sequences", "Share"))
        for coreset in reversed(coresets):
            _row(coreset, manifests[coreset.id], runs.get(coreset.run_id, "deleted"))


def _row(coreset: Coreset, manifest: Mapping[str, Any] | None, run: str) -> None:
    with st.container(key=f"row-{coreset.id}"):
        cells = st.columns(list(_COLUMNS.values()), vertical_alignment="center")
        with cells[0]:
            link(PageName.CORESETS, coreset.name, coreset=coreset.id)
        if manifest is None:
            cells[3].text(NOT_WHOLE)
        else:
            cells[1].html(list_figure(f"{manifest['sequences']:,}"))
            share = percent(manifest["sequences"] / manifest["pool_sequences"])
            cells[2].html(list_figure(share))
            cells[3].html(STRATEGIES[manifest["selection"]["strategy"]])
        cells[4].html(f'<span class="bp-cell">{escape(run)}</span>')
        cells[5].html(time_html(coreset.created))


def _coreset(project: Project, coreset: Coreset) -> None:
    manifest = manifest_of(coreset)
    selection = None if manifest is None else selection_from_json(manifest["selection"])
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header(coreset.name, trail=[project.name, "Coresets"])
        with st.container(horizontal=True, width="content"):
            if st.button("All coresets", key="all-coresets"):
                go(PageName.CORESETS, coreset=None)
            edit_popover(
                coreset,
                deleted=lambda: go(PageName.CORESETS, coreset=None),
                delete_help="It can be made again from its manifest.",
            )
            if selection is not None:
                _open(coreset, selection)
    if manifest is None:
        not_whole_view("coreset")
        return
    coreset_figures(manifest)
    if isinstance(selection, SelectionConfig) and (beyond := beyond_reach(selection)):
        note(beyond)
    _downloads(project, coreset)
    for warning in manifest["summary"]["warnings"]:
        note(warning)
    left, right = st.columns((2, 3), gap="large")
    with left:
        st.header("Where it comes from", anchor=False)
        pairs(provenance(coreset, manifest))
    with right:
        if not stratum_chart(manifest, coreset.name):
            _methods(coreset)
            return
    _methods(coreset)


def _methods(coreset: Coreset) -> None:
    st.header("Methods paragraph", anchor=False)
    note("For a paper: the pool, the settings and the seeds. What else there is to know is in the manifest.")
    with st.container(key="prose-methods"):
        st.code(methods_paragraph(workspace(), coreset), language=None, wrap_lines=True)


def _open(coreset: Coreset, selection: Selection) -> None:
    """A button back to where the coreset was made, with everything as it was."""
    if isinstance(selection, PickedSelection):
        if PageName.EXPLORE in available() and st.button("Show on Explore", key="open-brush"):
            here = place().within(run=coreset.run_id, coreset=None)
            parameters = {**here.parameters(), **address_of(selection.brush)}
            st.switch_page(page(PageName.EXPLORE), query_params=parameters)
    elif PageName.SELECT in available() and st.button(
        "Open its selection", key="open-selection", disabled=bool(beyond_reach(selection))
    ):
        show_selection(coreset, selection)


@st.fragment(run_every=LINKS_DRAWN_ANEW_S)
def _downloads(project: Project, coreset: Coreset) -> None:
    download_links(
        [
            (
                label,
                download_url(project.id, DownloadKind.CORESET, coreset.id, file_format, coreset.name),
                comment,
            )
            for label, file_format, comment in _FORMATS
        ]
    )


if __name__ == "__main__":
    render()
