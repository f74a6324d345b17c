"""Choices of which something was deleted meanwhile: Streamlit shows and gives something else, unsaid."""

import time
from collections.abc import Collection, Mapping
from math import inf

import streamlit as st

from app.components import field_error

__all__ = ["choose_one", "is_gone", "tell_gone", "was_replaced"]

# So long after a choice was replaced, a click is taken for one on the page that still showed it.
_LATE_S = 2.0


def choose_one(label: str, names: Mapping[str, str], key: str, *, titled: bool = True) -> tuple[str, bool]:
    """Draw the choice of one of some things that others may delete.

    Args:
        label: Of the field.
        names: What each thing is called, by its id; at least one.
        key: Of the field; another one in another project.
        titled: Whether the label is shown.

    Returns:
        The id, and as `is_gone` says.
    """
    gone = is_gone(key, names)
    chosen = st.selectbox(
        label,
        list(names),
        format_func=names.__getitem__,
        key=key,
        label_visibility="visible" if titled else "collapsed",
    )
    if gone:
        tell_gone()
    return chosen, gone


def is_gone(key: str, options: Collection[object]) -> bool:
    """Whether something that was chosen is no longer offered; then no button may act on what replaces it.

    Args:
        key: Of a selectbox or multiselect that is drawn next; another one in another project.
        options: Its options.
    """
    # Before the field is drawn, this is what the browser sent, read by the options that it was shown.
    value = st.session_state.get(key)
    chosen = value if isinstance(value, list) else [] if value is None else [value]
    return was_replaced(key, any(each not in options for each in chosen))


def was_replaced(key: str, now: bool) -> bool:
    """Whether a choice is replaced now, or was so lately that a click may still mean the one before.

    Args:
        key: Of the choice, unique in the session.
        now: Whether this run draws something else than the one before, which nobody asked for.
    """
    if now:
        st.session_state[f"gone-{key}"] = time.monotonic()
    since: float = st.session_state.get(f"gone-{key}", -inf)
    return time.monotonic() - since < _LATE_S


def tell_gone() -> None:
    """Say it, just below the field."""
    field_error("What was chosen here is no longer offered. Check what is chosen now.")
