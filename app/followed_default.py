"""Fields whose default or bounds depend on other fields: what a person set stays."""

import time
from typing import TypeVar

import streamlit as st

__all__ = ["follow_default"]

_Value = TypeVar("_Value", int, float, str)

# So long after a default changed, its former value is taken for one that the browser sent before it knew.
_LATE_S = 2.0


def follow_default(key: str, default: _Value, most: _Value | None = None) -> None:
    """Prepare a field that is drawn next, under this key and without a `value`.

    While nobody has changed it, it shows the default of now. A value that a person set stays; a number above
    the bound of now shows the bound, and itself again once there is room. An emptied field shows the default.

    Args:
        key: Of the field; the same however default and bound change.
        default: Its value where nobody has set one.
        most: The largest value it may have; None for any.
    """
    # Streamlit itself begins a field anew when its key changes, and resets one that is out of its bounds.
    shown: _Value | None
    wish: _Value | None
    former: _Value | None
    shown, wish, former, changed = st.session_state.get(f"{key}-followed", (None, None, None, 0.0))
    if key not in st.session_state:
        wish = None
    elif (value := st.session_state[key]) != shown:
        late = wish is None and value == former and time.monotonic() - changed < _LATE_S
        wish = None if late or value in ("", None) else value
    target = default if wish is None else wish
    if most is not None and target > most:
        target = most
    if target != shown:
        former, changed = shown, time.monotonic()
    # First: a run may be broken off after either of the two.
    st.session_state[f"{key}-followed"] = (target, wish, former, changed)
    if key not in st.session_state or st.session_state[key] != target:
        st.session_state[key] = target
