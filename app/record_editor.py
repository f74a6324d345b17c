"""The popover that renames and deletes a thing, the same on every page."""

from collections.abc import Callable
from html import escape
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components import field_error, plain
from app.formatting import byte_size, count, duration
from app.services import uploads, workspace
from app.whole import known_of, manifest_of
from bioprune_core.errors import BioPruneError, StorageError
from bioprune_core.workspace import Coreset, Dataset, Experiment, Model, Project, Run, State
from bioprune_core.workspace.deletion import needed_by

__all__ = ["edit_popover"]

_Record = TypeVar("_Record", Project, Dataset, Coreset, Model, Run, Experiment)


def edit_popover(
    record: _Record,
    *,
    deleted: Callable[[], object],
    place: DeltaGenerator | None = None,
    quiet: bool = False,
    delete_help: str = "",
    blocked: str = "",
) -> None:
    """Draw a popover "Edit" with a name to change and a button that deletes, once it has said what is lost.

    Args:
        record: What is edited.
        deleted: Called once it is gone: leads away, or draws the page anew.
        place: Where to draw; the current container by default.
        quiet: Without a border, for a row of a list.
        delete_help: What deleting means, on hover.
        blocked: Why it cannot be deleted; empty where it can.
    """
    what = type(record).__name__.lower()
    with (place or st).popover("Edit", type="tertiary" if quiet else "secondary", key=f"edit-{record.id}"):
        name = st.text_input("Name", value=record.name, max_chars=100, key=f"name-{record.id}")
        try:
            # Always enabled: a name is sent as its field is left, when Tab has passed over a disabled button.
            if st.button("Rename", key=f"rename-{record.id}") and name != record.name:
                workspace().rename(record, name)
                st.rerun()
            st.html('<hr class="bp-apart">')
            if _wants_deletion(record, what, delete_help, blocked):
                workspace().delete(record)
                st.session_state.pop(_asked(record), None)
                deleted()
        except BioPruneError as error:
            field_error(error.message)
        if blocked:
            st.caption(plain(blocked))


def _wants_deletion(record: _Record, what: str, delete_help: str, blocked: str) -> bool:
    """Ask in two steps, the second of which says what is lost; whether both were taken.

    Where it will be refused, there is no second step, but the reason.
    """
    asked = _asked(record)

    def ask() -> None:
        st.session_state[asked] = True

    def keep() -> None:
        st.session_state.pop(asked, None)

    refusal = _refusal(record) if st.session_state.get(asked) else ""
    if refusal:
        keep()
    if not st.session_state.get(asked):
        st.button(
            f"Delete {what}",
            key=f"delete-{record.id}",
            disabled=bool(blocked),
            help=delete_help or None,
            on_click=ask,
        )
        if refusal:
            st.html(f'<p class="bp-field-error bp-wide" role="alert">{escape(refusal)}</p>')
        return False
    st.html(f'<p class="bp-field-error bp-wide">{escape(_lost(record))} This cannot be undone.</p>')
    with st.container(horizontal=True):
        wanted = st.button(
            f"Delete {what} for good", key=f"delete-for-good-{record.id}", disabled=bool(blocked)
        )
        st.button("Keep it", key=f"keep-{record.id}", on_click=keep)
    return wanted


def _asked(record: _Record) -> str:
    return f"delete-asked-{record.id}"


def _refusal(record: _Record) -> str:
    """Why it cannot be deleted now, as far as that is known beforehand; empty where nothing is."""
    try:
        needed = needed_by(workspace().catalogue, workspace().layout, record)
    except StorageError as error:
        return error.message
    if needed:
        return f"It cannot be deleted, because it is {needed}"
    if not isinstance(record, Project) and workspace().state(record) is State.RUNNING:
        return "It cannot be deleted while it is being computed. Cancel its job first."
    return ""


def _lost(record: _Record) -> str:
    """What deleting loses, with its size and what it took to compute, in sentences."""
    if isinstance(record, Project):
        return _lost_with_project(record)
    if isinstance(record, Model) and record.reference is not None:
        return "Its entry will be lost, not its weights."
    if isinstance(record, Experiment):
        return "Its plan and its report will be lost; the results of its cells are kept."
    manifest = manifest_of(record)
    if manifest is None:
        if isinstance(record, Coreset) or known_of(record) is None:
            return "What is left of it will be lost."
        return "It is not finished; what is computed of it will be lost."
    took = f" Computing it took {duration(manifest['seconds'])}." if "seconds" in manifest else ""
    match record:
        case Run():
            scores, models = manifest["counts"]["sequences"], manifest["model"]["name"]
            return f"{count(scores, 'score')} by {models} and their map will be lost.{took}"
        case Model():
            return f"A network trained in {count(manifest['training']['steps'], 'step')} will be lost.{took}"
        case Dataset():
            return f"{count(manifest['sequences'], 'sequence')} as they were read will be lost.{took}"
        case _:
            return f"A choice of {count(manifest['sequences'], 'sequence')} will be lost.{took}"


def _lost_with_project(project: Project) -> str:
    """What a project without things computed in it still holds."""
    lost = []
    if files := uploads().of_project(project.id):
        size = byte_size(sum(upload.accepted for upload in files))
        lost.append(f"Its {count(len(files), 'uploaded file')} ({size}) will be lost with it.")
    if references := len(workspace().models(project)):
        entries = "entry of a model" if references == 1 else f"{references:,} entries of models"
        lost.append(f"Its {entries} from elsewhere will be lost with it, not the weights.")
    return " ".join(lost) or "The project is empty."
