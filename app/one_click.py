"""Buttons that make something: the second click of a double click finds what the first one made."""

from collections.abc import Callable, Hashable
from typing import TypeVar

import streamlit as st

__all__ = ["made_once"]

_Made = TypeVar("_Made")


def made_once(
    key: str, clicked: bool, make: Callable[[], _Made | None], asked: Hashable = None
) -> _Made | None:
    """What the click on a form's button made.

    The run of a second click begins after the first one made its thing, and with the same button: the form
    alone would make another. Until the form is drawn without a click, or something else is asked for, a click
    gives the same thing again.

    Args:
        key: Of the form, unique in the session.
        clicked: Whether its button was clicked in this run.
        make: Makes the thing; None where something is wrong, which it then shows.
        asked: What the form asks for, where it stays in sight after it made something: all fields but those
            that change by themselves then.
    """
    # Kept in a list that is there before: writing to the session is a point where a run may be broken off.
    made: list[tuple[Hashable, _Made]] = st.session_state.setdefault(f"made-{key}", [])
    if not clicked or (made and made[0][0] != asked):
        made.clear()
    if not clicked:
        return None
    if not made and (thing := make()) is not None:
        made.append((asked, thing))
    return made[0][1] if made else None
