"""Choosing the files of a dataset: uploaded through the browser, or already on the server."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import streamlit as st

from app.components import field_error, note
from app.context import importable
from app.formatting import byte_size, count, exact_time, time_html
from app.gone_choice import is_gone, tell_gone
from app.services import uploads, workspace
from app.uploader import uploader
from app.uploads import Upload
from bioprune_core.errors import BioPruneError, StorageError
from bioprune_core.workspace import Dataset, Project, State

__all__ = ["ChosenFiles", "choose_files"]

_UPLOAD, _SERVER = "Upload", "Folder of the server"
_REMOVED = "removed-upload"
"""Under this key the session has the upload that this person removed in the run before."""


@dataclass(frozen=True, slots=True)
class ChosenFiles:
    """What a dataset is to be made from.

    Args:
        paths: Files and folders; none while nothing is chosen.
        within: Folders that no file may lead out of; empty for anywhere.
        names: What uploaded files are called, no two of them the same.
        changed: Whether the page showed another choice until this run, which no click can mean.
    """

    paths: tuple[Path, ...] = ()
    within: tuple[Path, ...] = ()
    names: Mapping[Path, str] = field(default_factory=dict)
    changed: bool = False


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
    sent = uploader(project.id, key=f"uploader-{project.id}")
    arrived = {upload.id: upload for upload in uploads().of_project(project.id) if upload.complete}
    if not arrived:
        return ChosenFiles()
    used = _datasets_of(project)
    names = _distinct_names(list(arrived.values()))
    key = f"files-{project.id}"
    if (removed := st.session_state.pop(_REMOVED, None)) in st.session_state.get(key, ()):
        st.session_state[key] = [each for each in st.session_state[key] if each != removed]
    gone = is_gone(key, arrived)
    added = _choose_new(key, arrived, used, sent)
    chosen = st.multiselect(
        "Files of this dataset",
        list(arrived),
        format_func=names.__getitem__,
        placeholder="Choose at least one of the uploaded files",
        key=key,
    )
    # Only now: a run that is broken off before would have told of them for nothing.
    st.session_state[f"{key}-offered"] |= arrived.keys() & set(st.session_state[f"{key}-sent"])
    if gone:
        tell_gone()
    _uploaded_files(list(arrived.values()), used)
    paths = {arrived[each].path: names[each] for each in chosen}
    return ChosenFiles(tuple(paths), names=paths, changed=gone or added)


def _choose_new(key: str, arrived: Mapping[str, Upload], used: Collection[str], sent: Sequence[str]) -> bool:
    """Choose at first what no dataset has, and later what this person sends; says whether anything was added.

    What others send meanwhile is offered and not chosen, and what was taken out of the choice stays out.
    """
    known: list[str] = st.session_state.setdefault(f"{key}-sent", [])
    # Told in one run alone, which the next file that arrives may break off.
    known.extend(each for each in sent if each not in known)
    if key not in st.session_state:
        st.session_state[key] = [each for each in arrived if str(arrived[each].path) not in used]
        st.session_state[f"{key}-offered"] = set(arrived)
        return True
    offered: set[str] = st.session_state[f"{key}-offered"]
    # One that was removed can be sent again.
    offered.intersection_update(arrived)
    chosen = [each for each in st.session_state[key] if each in arrived]
    added = [each for each in known if each in arrived and each not in offered and each not in chosen]
    # Set in every run: of one that is broken off the browser may never learn what was set, and show none.
    st.session_state[key] = [*chosen, *added]
    return bool(added)


def _distinct_names(uploads: Sequence[Upload]) -> dict[str, str]:
    """What each upload is called, by its id. Of equal names, which a browser sends back, the first counts."""
    names = {upload.id: f"{upload.name} ({byte_size(upload.size)})" for upload in uploads}
    times = Counter(names.values())
    for upload in uploads:
        if times[names[upload.id]] > 1:
            names[upload.id] += f", {exact_time(upload.created)}"
    met: Counter[str] = Counter()
    # The oldest keeps its name when another arrives.
    for upload in reversed(uploads):
        name = names[upload.id]
        met[name] += 1
        if met[name] > 1:
            names[upload.id] += f", number {met[name]}"
    return names


def _uploaded_files(arrived: list[Upload], used: Mapping[str, list[Dataset]]) -> None:
    with st.expander(f"Manage {count(len(arrived), 'uploaded file')}"):
        for upload in arrived:
            _uploaded_file(upload, used.get(str(upload.path), []))


def _uploaded_file(upload: Upload, datasets: Sequence[Dataset]) -> None:
    """One file with the datasets made of it, and its removal in two steps."""
    unread = _unread(datasets)
    use = ", used by a dataset" if datasets else ""
    if unread is not None:
        use = f", still to be read for {escape(unread.name)}"
    about = f"{byte_size(upload.size)}, {time_html(upload.created)}{use}"
    asked = f"remove-asked-{upload.id}"
    # A quarter: in half a page less is too narrow for the button's word.
    text, button = st.columns((3, 1), vertical_alignment="center")
    text.html(f'<div class="bp-note">{escape(upload.name)}, {about}</div>')
    button.button(
        "Remove",
        key=f"remove-{upload.id}",
        # What is asked below must be answered there.
        disabled=unread is not None or asked in st.session_state,
        help=None if unread is None else _refusal(upload, unread),
        on_click=_ask,
        args=(asked,),
    )
    if asked in st.session_state and unread is not None:
        # Somebody made a dataset of it since the first step.
        _keep(asked)
        field_error(_refusal(upload, unread))
    elif asked in st.session_state and _wants_removal(upload, len(datasets), asked):
        _remove(upload, asked)


def _ask(asked: str) -> None:
    st.session_state[asked] = True


def _keep(asked: str) -> None:
    st.session_state.pop(asked, None)


def _wants_removal(upload: Upload, datasets: int, asked: str) -> bool:
    """The second step, which says what is lost; whether that was taken."""
    kept = f" The {'dataset' if datasets == 1 else 'datasets'} read from it will be kept." if datasets else ""
    lost = f"{upload.name} ({byte_size(upload.size)}) will be lost.{kept} This cannot be undone."
    st.html(f'<p class="bp-field-error bp-wide">{escape(lost)}</p>')
    with st.container(horizontal=True):
        wanted = st.button("Remove for good", key=f"remove-for-good-{upload.id}")
        st.button("Keep it", key=f"keep-{upload.id}", on_click=_keep, args=(asked,))
    return wanted


def _remove(upload: Upload, asked: str) -> None:
    try:
        uploads().remove(upload.id)
    except BioPruneError as error:
        field_error(error.message)
    else:
        _keep(asked)
        st.session_state[_REMOVED] = upload.id
        st.rerun()


def _refusal(upload: Upload, unread: Dataset) -> str:
    return (
        f'{upload.name} cannot be removed, because the dataset "{unread.name}" is still to be read from it. '
        "Wait until it is read, or delete the dataset first."
    )


def _datasets_of(project: Project) -> dict[str, list[Dataset]]:
    """The datasets that the project has of each file, oldest first."""
    used: dict[str, list[Dataset]] = {}
    for dataset in workspace().datasets(project):
        # A deletion that was killed leaves an entry without files, in the list until it is deleted again.
        with suppress(StorageError):
            for file in workspace().config(dataset)["files"]:
                used.setdefault(file, []).append(dataset)
    return used


def _unread(datasets: Sequence[Dataset]) -> Dataset | None:
    """The first that has not been read, whether it waits, is at work or failed and may be tried again."""
    return next((each for each in datasets if workspace().state(each) is not State.DONE), None)


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
