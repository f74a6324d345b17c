"""Fields whose default or bounds depend on other fields: what a person set stays."""

from typing import TypeVar

import streamlit as st

__all__ = ["follow_default"]

_Value = TypeVar("_Value", int, float, str)


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
    shown, wish = st.session_state.get(f"{key}-followed", (None, None))
    if key not in st.session_state:
        wish = None
    elif (value := st.session_state[key]) != shown:
        wish = None if value in ("", None) else value
    target = default if wish is None else wish
    if most is not None and target > most:
        target = most
    if key not in st.session_state or st.session_state[key] != target:
        st.session_state[key] = target
    st.session_state[f"{key}-followed"] = (target, wish)
