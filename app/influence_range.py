"""The brushed range of influence as two numbers: a drag over the distribution, but exact and by keyboard."""

import math
from dataclasses import replace

import streamlit as st

from app.brush_state import change_brush, current_brush
from app.components import field_error
from app.formatting import amount
from app.queries.brush import Brush
from app.run_data import OpenRun

__all__ = ["influence_range"]

_BEYOND = 1e-5
"""How far beyond the run's extreme an open end lies, relatively: more than the address rounds away."""


def influence_range(data: OpenRun, brush: Brush) -> None:
    """Draw the two fields; an empty one is open, down to the least or up to the largest influence.

    Where the brush was changed elsewhere, new fields with its bounds take the place of the old ones. After a
    change of their own the fields stay: a second value, entered before the browser has heard of the first,
    would be lost with a field that is gone.
    """
    state = f"influence-range-{data.run.id}"
    number, shown = st.session_state.get(state, (0, None))
    if shown != brush.influence:
        number += 1
    keys = [f"{state}-{number}-{end}" for end in ("from", "to")]
    if shown != brush.influence:
        # Not as the fields' own value, to which a field that is emptied would go back.
        st.session_state.update(zip(keys, brush.influence or (None, None), strict=True))
    st.session_state[state] = (number, brush.influence)

    def changed() -> None:
        # The browser may still send the value of a field that it will hear has been replaced.
        if st.session_state[state][0] != number:
            return
        bounds = _bounds(data, *(st.session_state[key] for key in keys))
        if bounds is None or bounds[0] <= bounds[1]:
            change_brush(replace(current_brush(), influence=bounds))
            st.session_state[state] = (number, current_brush().influence)

    extent = data.extent
    labels, ends = ("Influence from", "Influence to"), (extent.low, extent.high)
    for column, label, key, end in zip(st.columns(2, gap="small"), labels, keys, ends, strict=True):
        column.number_input(
            label,
            min_value=0.0,
            value=None,
            step=_step(data),
            format="%.6g",
            placeholder=amount(end),
            key=key,
            on_change=changed,
        )
    low, high = (st.session_state[key] for key in keys)
    if low is not None and high is not None and low > high:
        field_error(f"The range goes from {low:g} down to {high:g}. Give the smaller influence first.")


def _bounds(data: OpenRun, low: float | None, high: float | None) -> tuple[float, float] | None:
    """The range that the fields say; None where both are empty."""
    if low is None and high is None:
        return None
    extent = data.extent
    return (
        extent.low * (1 - _BEYOND) if low is None else low,
        extent.high * (1 + _BEYOND) if high is None else high,
    )


def _step(data: OpenRun) -> float:
    """What an arrow key changes: a tenth of the power of ten that the run's median influence has."""
    median = data.summary(Brush()).median
    return 10.0 ** (math.floor(math.log10(median)) - 1) if median else 0.1
