"""Data: the datasets of a project, adding one, and what its quality report says."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
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
    page_header,
    state_html,
)
from app.context import current_dataset, importable, workspace
from app.data_form import new_dataset
from app.downloads import DownloadKind, download_url
from app.formatting import alphabet_name, time_html
from app.navigation import PageName, available, go, link, project_or_stop
from app.quality import quality_figures, quality_pictures, quality_tables
from app.record_editor import edit_popover
from app.unfinished import unfinished_view
from app.whole import NOT_WHOLE, Known, known_of, not_whole_view
from bioprune_core.alphabet import Alphabet
from bioprune_core.jobs import JobKind
from bioprune_core.sequences import IngestOptions, QualityReport
from bioprune_core.storage import read_json
from bioprune_core.workspace import Dataset, Project, State

_COLUMNS = {"Name": 4.0, "State": 1.6, "Sequences": 1.5, "Alphabet": 1.4, "Lengths": 2.0, "Made": 1.8}


def render() -> None:
    """Draw the page."""
    project = project_or_stop()
    dataset = current_dataset(project)
    if dataset is not None:
        _dataset(project, dataset)
        return
    datasets = workspace().datasets(project)
    if st.query_params.get("add") is None and datasets:
        _overview(project, datasets)
    elif st.query_params.get("add") is None:
        page_header("Data", trail=[project.name])
        empty_state(
            "Add the first dataset",
            f"Upload sequence files{' or point to a folder of the server' if importable() else ''}. Every "
            "record is read, normalised, checked and counted; equal sequences become one.",
            "Add a dataset",
            on_click=_open_form,
        )
    else:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(width="content"):
                page_header("Add a dataset", trail=[project.name, "Data"])
            if datasets and st.button("All datasets", key="all-datasets"):
                go(PageName.DATA, dataset=None)
        made = new_dataset(project)
        if made is not None:
            go(PageName.DATA, dataset=made.id)


def _open_form() -> None:
    st.query_params["add"] = "1"


def _overview(project: Project, datasets: list[Dataset]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header("Data", trail=[project.name])
        st.button("Add a dataset", type="primary", on_click=_open_form, key="add-dataset")
    known = {dataset.id: known_of(dataset) for dataset in datasets}
    manifests = [each.manifest for each in known.values() if each is not None and each.manifest]
    key_figures(
        [
            KeyFigure("Datasets", f"{len(datasets):,}"),
            KeyFigure("Sequences", f"{sum(m['sequences'] for m in manifests):,}"),
            KeyFigure("Letters", f"{sum(m['letters'] for m in manifests):,}"),
        ]
    )
    with st.container(key="list-datasets", gap=None):
        list_head(_COLUMNS, ["Sequences"])
        for dataset in reversed(datasets):
            _row(dataset, known[dataset.id])


def _row(dataset: Dataset, known: Known | None) -> None:
    with st.container(key=f"row-{dataset.id}"):
        cells = st.columns(list(_COLUMNS.values()), vertical_alignment="center")
        with cells[0]:
            link(PageName.DATA, dataset.name, dataset=dataset.id)
        cells[5].html(time_html(dataset.created))
        if known is None:
            cells[4].text(NOT_WHOLE)
            return
        cells[1].html(state_html(known.state))
        if manifest := known.manifest:
            alphabet = Alphabet(manifest["alphabet"])
            lengths = f"{manifest['minimum_length']:,} to {manifest['maximum_length']:,} {alphabet.unit}"
            cells[2].html(list_figure(f"{manifest['sequences']:,}"))
            cells[3].html(alphabet_name(alphabet))
            cells[4].html(f'<span class="bp-figure">{lengths}</span>')


def _dataset(project: Project, dataset: Dataset) -> None:
    known = known_of(dataset)
    ready = known is not None and known.state is State.DONE
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header(dataset.name, trail=[project.name, "Data"])
        with st.container(horizontal=True, width="content"):
            if st.button("All datasets", key="all-datasets"):
                go(PageName.DATA, dataset=None)
            edit_popover(
                dataset,
                deleted=lambda: go(PageName.DATA, dataset=None),
                delete_help="Runs made from it must be deleted first.",
            )
            offered = ready and PageName.SCORE in available()
            if offered and st.button("Score this dataset", type="primary", key="score-dataset"):
                go(PageName.SCORE, dataset=dataset.id)
    if known is None:
        not_whole_view("dataset")
    elif ready:
        _report(project, dataset, known.manifest)
    else:
        unfinished_view(dataset, JobKind.INGEST, lambda: _files(known.config))


def _report(project: Project, dataset: Dataset, manifest: Mapping[str, Any]) -> None:
    report = _quality(str(workspace().directory(dataset) / "report.json"), manifest["created"])
    quality_figures(report, IngestOptions.from_json(manifest["options"]).deduplicate)
    quality_pictures(report, dataset.name)
    quality_tables(report)
    _downloads(project, dataset)


@st.fragment(run_every=LINKS_DRAWN_ANEW_S)
def _downloads(project: Project, dataset: Dataset) -> None:
    address = download_url(project.id, DownloadKind.REPORT, dataset.id, "json", dataset.name)
    download_links([("Quality report", address, "JSON")])


@st.cache_data(max_entries=32, show_spinner=False)
def _quality(path: str, created: str) -> QualityReport:  # noqa: ARG001 - what the cache goes by
    """The report at `path`, of the manifest of this time."""
    return QualityReport.from_json(read_json(Path(path)))


def _files(config: Mapping[str, Any]) -> None:
    st.header("Files", anchor=False)
    for file in config["files"]:
        st.html(f'<div class="bp-note">{escape(file)}</div>')


if __name__ == "__main__":
    render()
