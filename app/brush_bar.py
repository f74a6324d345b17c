"""What is brushed, in words: each part with a button that takes it away, undo, and saving it as a subset."""

import re
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from app.brush_state import can_undo, change_brush, undo_brush
from app.category_names import category_name
from app.components import field_error, note, plain
from app.followed_default import follow_default
from app.formatting import amount, count
from app.navigation import PageName, available, go
from app.one_click import made_once
from app.queries.brush import Brush
from app.run_data import OpenRun
from app.services import workspace
from bioprune_core.errors import BioPruneError
from bioprune_core.selection import PickedSelection
from bioprune_core.workspace import Coreset, free_name

__all__ = ["brush_bar", "brush_parts"]

_NAME_WORDS = 80


def brush_bar(data: OpenRun, brush: Brush) -> None:
    """Draw what is brushed and what can be done with it."""
    parts = brush_parts(brush)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="brush-bar"):
        if not parts:
            st.html(
                '<p class="bp-note">Drag over the distribution or draw around points on the map to select '
                "sequences; every view follows. Click a point to see its sequence.</p>"
            )
        for label, without in parts:
            st.button(
                plain(label),
                icon=":material/close:",
                key=f"drop-{label}",
                on_click=change_brush,
                args=(without,),
            )
        if len(parts) > 1:
            st.button("Clear all", key="clear-brush", on_click=change_brush, args=(Brush(),))
        if parts or can_undo():
            st.button(
                "Undo",
                icon=":material/undo:",
                type="tertiary",
                key="undo-brush",
                disabled=not can_undo(),
                on_click=undo_brush,
            )
        if PageName.CORESETS in available():
            st.space("stretch")
            with st.popover("Save as a subset", icon=":material/bookmark_add:", key="save-subset"):
                _save(data, brush)


def brush_parts(brush: Brush) -> Sequence[tuple[str, Brush]]:
    """Each part of a brush in words, with the brush that is left without it."""
    parts: list[tuple[str, Brush]] = []
    if brush.influence:
        low, high = brush.influence
        parts.append((f"Influence {amount(low)} to {amount(high)}", replace(brush, influence=None)))
    if brush.region:
        parts.append(("Region of the map", replace(brush, region=None)))
    if brush.category:
        column, value = brush.category
        parts.append((f"{column.value.capitalize()} {category_name(value)}", replace(brush, category=None)))
    if brush.search:
        parts.append((f"Id contains {brush.search}", replace(brush, search="")))
    return parts


def _save(data: OpenRun, brush: Brush) -> None:
    """Name what is brushed and save it among the coresets of the run."""
    rows = data.count(brush) if brush else 0
    suggested = _free_name(data, brush)
    follow_default("subset-name", suggested)
    name = st.text_input("Name of the subset", max_chars=100, key="subset-name")
    problem = st.empty()
    label = f"Save {count(rows, 'sequence')}" if rows else "Save"
    clicked = st.button(label, type="primary", key="save-picked", disabled=not rows, width="stretch")

    def save() -> Coreset | None:
        try:
            return workspace().create_coreset(data.run, name, PickedSelection(brush))
        except BioPruneError as error:
            with problem:
                field_error(error.message)
            return None

    coreset = made_once("subset", clicked, save)
    if coreset is not None:
        go(PageName.CORESETS, coreset=coreset.id)
    if not brush:
        note("Nothing is brushed yet: drag over the distribution or draw around points on the map first.")
    elif not rows:
        with problem:
            field_error("No sequence lies in what is brushed. Brush more, or drop a part.")
    else:
        note("Kept among the coresets of this run, with what was brushed, so that it can be made again.")


def _free_name(data: OpenRun, brush: Brush) -> str:
    """A name that tells what was brushed, numbered when a coreset has it already."""
    words = ", ".join(label for label, _ in brush_parts(brush)) or "Picked"
    # Labels and ids may hold what names cannot, and begin with what names do not.
    name = re.sub(r"[/\\<>:\"|?*\s]+", " ", words)[:_NAME_WORDS].strip(" .-") or "Picked"
    return free_name(name, (coreset.name for coreset in workspace().coresets(data.run.project_id)))
