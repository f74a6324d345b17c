"""Which labels or clusters have a colour of their own on the map, and brushing one of them."""

from dataclasses import replace

import streamlit as st

from app.brush_state import change_brush, current_brush
from app.components import note
from app.queries.brush import CategoryColumn
from app.queries.composition import UNLABELLED
from app.run_data import OpenRun

__all__ = ["MOST_COLOURS", "category_control"]

MOST_COLOURS = 8
"""More cannot be told apart, also by those who see colours otherwise."""

_MOST_OFFERED = 2_000
"""Names sent to the browser; beyond them a category can still be found by a link."""


def category_control(data: OpenRun, column: CategoryColumn) -> tuple[str, ...]:
    """Draw the choices below "Colour of the map".

    Returns:
        The categories to name, at most eight: those picked, else the largest.
    """
    names = [str(name) for name in data.categories(column)["category"]]
    _brush_one(data, column, names[:_MOST_OFFERED])
    if len(names) <= MOST_COLOURS:
        return tuple(names)
    picked = _picked(data, column, names)
    if len(names) > _MOST_OFFERED:
        note(f"The {_MOST_OFFERED:,} largest of {len(names):,} can be picked.")
    return picked or tuple(names[:MOST_COLOURS])


def _picked(data: OpenRun, column: CategoryColumn, names: list[str]) -> tuple[str, ...]:
    """The categories picked for a colour of their own; they are in the address once they are changed."""
    parameter, known = f"shown-{column.value}", set(names)
    key = f"{parameter}-{data.run.id}"
    in_address = [name for name in st.query_params.get_all(parameter) if name in known][:MOST_COLOURS]

    def changed() -> None:
        chosen = st.session_state[key]
        if chosen:
            st.query_params[parameter] = chosen
        elif parameter in st.query_params:
            del st.query_params[parameter]

    offered = list(dict.fromkeys([*names[:_MOST_OFFERED], *in_address]))
    chosen = st.multiselect(
        f"{column.value.capitalize()}s in colour",
        offered,
        default=in_address or names[:MOST_COLOURS],
        max_selections=MOST_COLOURS,
        placeholder=f"The {MOST_COLOURS} largest",
        key=key,
        on_change=changed,
        wrap=True,
        help=f"Up to {MOST_COLOURS} {column.value}s of {len(names):,}; the others are one grey group.",
    )
    return tuple(chosen)


def _brush_one(data: OpenRun, column: CategoryColumn, names: list[str]) -> None:
    """A selectbox that brushes one category, as a lasso brushes a region."""
    brushed = current_brush().category
    here = None
    if brushed is not None and brushed[0] is column:
        here = UNLABELLED if brushed[1] is None else brushed[1]
    offered = names if here is None or here in names else [here, *names]
    # A key for each value: a brush that is dropped or undone elsewhere shows here.
    key = f"only-{column.value}-{data.run.id}-{here}"

    def changed() -> None:
        chosen = st.session_state[key]
        category = None if chosen is None else (column, None if chosen == UNLABELLED else str(chosen))
        change_brush(replace(current_brush(), category=category))

    st.selectbox(
        f"Select one {column.value}",
        offered,
        index=None if here is None else offered.index(here),
        placeholder="All",
        key=key,
        on_change=changed,
        help="Selects its sequences in every view.",
    )
