"""A double click starts one thing: its second press gets what the first one started."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

__all__ = ["start_once"]

_STARTED = "started"
_DOUBLE_CLICK_S = 10.0
"""Presses of the same settings within this time are one: a slow server takes seconds to change the page."""


def start_once(form: str, settings: Mapping[str, Any], start: Callable[[], str | None]) -> str | None:
    """Start something, unless a press a moment ago started the same.

    Streamlit ends the run of the first press when the second one comes, and runs the page again with the
    button still pressed: what the first run had made already would be made twice.

    Args:
        form: Which form was pressed.
        settings: What is started, as JSON values, without its name: a suggested one changes once it is taken.
        start: Starts it and gives its id; None where it was refused. Draws nothing between making a thing and
            returning: each element drawn is a place where Streamlit may end the run.

    Returns:
        The id of what was started, by this press or the one before; None where it was refused.
    """
    # Looked up beforehand: the run may end at every access to the session, but not between making and noting.
    started: dict[str, tuple[str, str, float]] = st.session_state.setdefault(_STARTED, {})
    wanted = json.dumps(settings, sort_keys=True)
    if form in started:
        known, identifier, when = started[form]
        if known == wanted and time.monotonic() - when < _DOUBLE_CLICK_S:
            return identifier
    identifier_now = start()
    if identifier_now is not None:
        started[form] = (wanted, identifier_now, time.monotonic())
    return identifier_now
