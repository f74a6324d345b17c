"""Choosing the files of a dataset: uploaded through the browser, or already on the server."""

from html import escape
from pathlib import Path

import streamlit as st

from app.components import field_error
from app.formatting import byte_size, count, time_html
from app.services import uploads, workspace
from app.uploader import uploader
from app.uploads import Upload
from bioprune_core.errors import BioPruneError
from bioprune_core.workspace import Project

__all__ = ["choose_files"]

_UPLOAD, _SERVER = "Upload", "Folder of the server"


def choose_files(project: Project) -> list[Path]:
    """Draw the choice; the files and folders chosen, none while there are none."""
    st.header("Files", anchor=False)
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


def _from_uploads(project: Project) -> list[Path]:
    uploader(project.id, key=f"uploader-{project.id}")
    arrived = {upload.id: upload for upload in uploads().of_project(project.id) if upload.complete}
    if not arrived:
        return []
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
    return [arrived[key].path for key in chosen]


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


def _from_server() -> list[Path]:
    text = st.text_input(
        "Path of a file or folder",
        placeholder="/data/sequences/rfam.fasta.gz",
        key="path",
        bind="query-params",
        help="As seen by the server. A folder is read with everything it holds. Nothing is copied.",
    )
    if not text.strip():
        return []
    path = Path(text.strip()).expanduser()
    if not path.is_absolute():
        field_error("The path must start with a slash: it is read by the server, not by your browser.")
        return []
    if not path.exists():
        field_error(f"{path} does not exist on the server. Check the spelling.")
        return []
    return [path]
