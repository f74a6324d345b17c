"""Buttons that make something: the second click of a double click finds what the first one made."""

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

__all__ = ["made_once"]

_Made = TypeVar("_Made")


def made_once(key: str, clicked: bool, make: Callable[[], _Made | None]) -> _Made | None:
    """What the click on a form's button made. For forms that another page follows once they made something.

    The run of a second click begins after the first one made its thing, and with the same button: the form
    alone would make another. Until the form is drawn without a click, a click gives the same thing again.

    Args:
        key: Of the form, unique in the session.
        clicked: Whether its button was clicked in this run.
        make: Makes the thing; None where something is wrong, which it then shows.
    """
    # Kept in a list that is there before: writing to the session is a point where a run may be broken off.
    made: list[_Made] = st.session_state.setdefault(f"made-{key}", [])
    if not clicked:
        made.clear()
        return None
    if not made and (thing := make()) is not None:
        made.append(thing)
    return made[0] if made else None
