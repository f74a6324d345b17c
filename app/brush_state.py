"""The brush in the address: reading it, changing it, and taking the last change back."""

import streamlit as st

from app.queries.brush import Brush, CategoryColumn, address_of, brush_of, rounded

__all__ = [
    "BRUSH_PARAMETERS",
    "TABLE_PAGE",
    "can_undo",
    "change_brush",
    "current_brush",
    "current_point",
    "set_point",
    "undo_brush",
]

BRUSH_PARAMETERS = ("influence", "region", "search", *(column.value for column in CategoryColumn))
"""The names that a brush may have in the address."""

TABLE_PAGE = "page"
"""Key, and name in the address, of the widget that pages the table of what is brushed."""

_HISTORY = "brush-history"
_MOST_UNDOS = 50


def current_brush() -> Brush:
    """The brush that the address describes."""
    return brush_of({name: st.query_params.get(name, "") for name in BRUSH_PARAMETERS})


def change_brush(after: Brush) -> None:
    """Put another brush into the address and remember the old one; for the callbacks of widgets."""
    before, after = current_brush(), rounded(after)
    if after == before:
        return
    history = _history()
    history.append(before)
    del history[:-_MOST_UNDOS]
    _write(after)


def can_undo() -> bool:
    """Whether there is an earlier brush to go back to."""
    return bool(_history())


def undo_brush() -> None:
    """Go back to the brush before the last change; for the callbacks of widgets."""
    history = _history()
    if history:
        _write(history.pop())


def current_point() -> int | None:
    """The position of the sequence that is looked at, or None."""
    text = st.query_params.get("point", "")
    return int(text) if text.isdecimal() else None


def set_point(position: int | None) -> None:
    """Look at another sequence, or at none."""
    if position is not None:
        st.query_params["point"] = str(position)
    elif "point" in st.query_params:
        del st.query_params["point"]


def _history() -> list[Brush]:
    """Earlier brushes on this run; lost with the session, while the brush itself is in the address."""
    histories: dict[str, list[Brush]] = st.session_state.setdefault(_HISTORY, {})
    return histories.setdefault(st.query_params.get("run", ""), [])


def _write(brush: Brush) -> None:
    parameters = address_of(brush)
    for name in BRUSH_PARAMETERS:
        if name in parameters:
            st.query_params[name] = parameters[name]
        elif name in st.query_params:
            del st.query_params[name]
    # Another selection starts on its first page. The page is that of a widget, which alone may change it in
    # the address, and only before it is drawn.
    st.session_state[TABLE_PAGE] = 1
