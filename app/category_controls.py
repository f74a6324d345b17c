"""Which labels or clusters have a colour of their own on the map, and brushing one of them."""

from dataclasses import replace

import streamlit as st

from app.brush_state import change_brush, current_brush
from app.category_names import category_name
from app.components import note
from app.queries.brush import CategoryColumn, category_of, category_text
from app.run_data import OpenRun

__all__ = ["MOST_COLOURS", "category_control"]

MOST_COLOURS = 8
"""More cannot be told apart, also by those who see colours otherwise."""


def category_control(data: OpenRun, column: CategoryColumn, coloured: bool) -> tuple[str | None, ...]:
    """Draw the choices below "Colour of the map".

    Args:
        data: The run.
        column: What the map is coloured by.
        coloured: Whether it is, now; otherwise a category can only be selected.

    Returns:
        The categories to name, at most eight: those picked, else the largest; None is a missing label.
    """
    categories = data.categories(column)
    # As the address writes them, since a field without a choice already means None.
    offered = [category_text(value) for value in categories.largest]
    _brush_one(data, column, offered)
    if categories.total <= MOST_COLOURS or not coloured:
        return categories.largest[:MOST_COLOURS]
    picked = _picked(data, column, offered, categories.total)
    if categories.total > len(offered):
        note(f"The {len(offered):,} largest of {categories.total:,} can be picked.")
    return tuple(category_of(text) for text in picked or offered[:MOST_COLOURS])


def _picked(data: OpenRun, column: CategoryColumn, offered: list[str], total: int) -> list[str]:
    """The categories picked for a colour of their own; they are in the address once they are changed."""
    parameter, known = f"shown-{column.value}", set(offered)
    key = f"{parameter}-{data.run.id}"
    in_address = [text for text in st.query_params.get_all(parameter) if text in known][:MOST_COLOURS]

    def changed() -> None:
        chosen = st.session_state[key]
        if chosen:
            st.query_params[parameter] = chosen
        elif parameter in st.query_params:
            del st.query_params[parameter]

    chosen: list[str] = st.multiselect(
        f"{column.value.capitalize()}s in colour",
        offered,
        default=in_address or offered[:MOST_COLOURS],
        format_func=_shown,
        max_selections=MOST_COLOURS,
        placeholder=f"The {MOST_COLOURS} largest",
        key=key,
        on_change=changed,
        wrap=True,
        help=f"Up to {MOST_COLOURS} {column.value}s of {total:,}; the others are one grey group.",
    )
    return chosen


def _brush_one(data: OpenRun, column: CategoryColumn, offered: list[str]) -> None:
    """A selectbox that brushes one category, as a lasso brushes a region."""
    brushed = current_brush().category
    here = category_text(brushed[1]) if brushed is not None and brushed[0] is column else None
    if here is not None and here not in offered:
        offered = [here, *offered]
    # A key for each value: a brush that is dropped or undone elsewhere shows here.
    key = f"only-{column.value}-{data.run.id}-{here}"

    def changed() -> None:
        chosen = st.session_state[key]
        category = None if chosen is None else (column, category_of(chosen))
        change_brush(replace(current_brush(), category=category))

    st.selectbox(
        f"Select one {column.value}",
        offered,
        index=None if here is None else offered.index(here),
        format_func=_shown,
        placeholder="All",
        key=key,
        on_change=changed,
        help="Selects its sequences in every view.",
    )


def _shown(text: str) -> str:
    return category_name(category_of(text))
