"""Choosing the files of a dataset: uploaded through the browser, or already on the server."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import streamlit as st

from app.components import field_error, note
from app.context import importable
from app.formatting import byte_size, count, time_html
from app.services import uploads, workspace
from app.uploader import uploader
from app.uploads import Upload
from bioprune_core.errors import BioPruneError
from bioprune_core.workspace import Project

__all__ = ["ChosenFiles", "choose_files"]

_UPLOAD, _SERVER = "Upload", "Folder of the server"


@dataclass(frozen=True, slots=True)
class ChosenFiles:
    """What a dataset is to be made from.

    Args:
        paths: Files and folders; none while nothing is chosen.
        within: Folders that no file may lead out of; empty for anywhere.
    """

    paths: tuple[Path, ...] = ()
    within: tuple[Path, ...] = ()


def choose_files(project: Project) -> ChosenFiles:
    """Draw the choice."""
    st.header("Files", anchor=False)
    if not importable():
        return _from_uploads(project)
    source = st.segmented_control(
        "Where the files are",
        [_UPLOAD, _SERVER],
        default=_UPLOAD,
        required=True,
        key="source",
        bind="query-params",
        label_visibility="collapsed",
    )
    return _from_server() if source == _SERVER else _from_uploads(project)


def _from_uploads(project: Project) -> ChosenFiles:
    uploader(project.id, key=f"uploader-{project.id}")
    arrived = {upload.id: upload for upload in uploads().of_project(project.id) if upload.complete}
    if not arrived:
        return ChosenFiles()
    used = {
        file for dataset in workspace().datasets(project) for file in workspace().config(dataset)["files"]
    }
    fresh = [key for key, upload in arrived.items() if str(upload.path) not in used]
    chosen = st.multiselect(
        "Files of this dataset",
        list(arrived),
        default=fresh,
        format_func=lambda key: f"{arrived[key].name} ({byte_size(arrived[key].size)})",
        placeholder="Choose at least one of the uploaded files",
        # Anew when another file has arrived, so that it is chosen at once.
        key=f"chosen-{len(arrived)}-{len(fresh)}",
    )
    _uploaded_files(list(arrived.values()), used)
    return ChosenFiles(tuple(arrived[key].path for key in chosen))


def _uploaded_files(arrived: list[Upload], used: set[str]) -> None:
    with st.expander(f"Manage {count(len(arrived), 'uploaded file')}"):
        for upload in arrived:
            text, button = st.columns((5, 1), vertical_alignment="center")
            use = ", used by a dataset" if str(upload.path) in used else ""
            about = f"{byte_size(upload.size)}, {time_html(upload.created)}{use}"
            text.html(f'<div class="bp-note">{escape(upload.name)}, {about}</div>')
            if button.button("Remove", key=f"remove-{upload.id}"):
                _remove(upload)


def _remove(upload: Upload) -> None:
    try:
        uploads().remove(upload.id)
    except BioPruneError as error:
        field_error(error.message)
    else:
        st.rerun()


def _from_server() -> ChosenFiles:
    allowed = importable()
    text = st.text_input(
        "Path of a file or folder",
        placeholder=f"{allowed.folders[0] if allowed.folders else '/data/sequences'}/rfam.fasta.gz",
        key="path",
        bind="query-params",
        help="As seen by the server. A folder is read with everything it holds. Nothing is copied.",
    )
    problem = st.empty()
    if allowed.anywhere:
        note("Any folder of this machine: the server is reached from here alone.")
    else:
        note(
            f"Files may be taken from {', '.join(map(str, allowed.folders))}. Links out of there are "
            "not followed."
        )
    if not text.strip():
        return ChosenFiles()
    try:
        return ChosenFiles((allowed.path(text),), allowed.folders)
    except BioPruneError as error:
        with problem:
            field_error(error.message)
        return ChosenFiles()
