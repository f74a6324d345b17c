"""Choices of which something was deleted meanwhile: Streamlit shows and gives something else, unsaid."""

import time
from collections.abc import Collection
from math import inf

import streamlit as st

from app.components import field_error

__all__ = ["is_gone", "tell_gone"]

# So long after a choice was replaced, a click is taken for one on the page that still showed it.
_LATE_S = 2.0


def is_gone(key: str, options: Collection[object]) -> bool:
    """Whether something that was chosen is no longer offered; then no button may act on what replaces it.

    Args:
        key: Of a selectbox or multiselect that is drawn next.
        options: Its options.
    """
    # Before the field is drawn, this is what the browser sent, read by the options that it was shown.
    value = st.session_state.get(key)
    chosen = value if isinstance(value, list) else [] if value is None else [value]
    if any(each not in options for each in chosen):
        st.session_state[f"{key}-gone"] = time.monotonic()
    since: float = st.session_state.get(f"{key}-gone", -inf)
    return time.monotonic() - since < _LATE_S


def tell_gone() -> None:
    """Say it, just below the field."""
    field_error("What was chosen here is no longer there. Check what is chosen now.")
