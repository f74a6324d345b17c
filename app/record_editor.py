"""The popover that renames and deletes a thing, the same on every page."""

from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components import field_error
from app.services import workspace
from bioprune_core.errors import BioPruneError
from bioprune_core.workspace import Coreset, Dataset, Experiment, Model, Project

__all__ = ["edit_popover"]

_Record = TypeVar("_Record", Project, Dataset, Coreset, Model, Experiment)


def edit_popover(
    record: _Record,
    *,
    deleted: Callable[[], object],
    place: DeltaGenerator | None = None,
    quiet: bool = False,
    delete_help: str = "",
    blocked: str = "",
) -> None:
    """Draw a popover "Edit" with a name to change and a button that deletes.

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
            if st.button("Rename", key=f"rename-{record.id}", disabled=name == record.name):
                workspace().rename(record, name)
                st.rerun()
            if st.button(
                f"Delete {what}", key=f"delete-{record.id}", disabled=bool(blocked), help=delete_help or None
            ):
                workspace().delete(record)
                deleted()
        except BioPruneError as error:
            field_error(error.message)
        if blocked:
            st.caption(blocked)
