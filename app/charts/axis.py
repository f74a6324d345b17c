"""The influence axis (positions, ticks and fixed range, linear or logarithmic) and its hatching."""

import math
from typing import Any

from app.formatting import amount
from app.queries.distribution import Axis
from app.theme import Palette

__all__ = ["hatching", "influence_axis", "log_count_axis", "on_axis"]

_FEWEST_DECADES = 2.0


def on_axis(influence: float, axis: Axis, low: float) -> float:
    """The coordinate of an influence: itself, or its decimal logarithm, not left of the axis' start `low`.

    Log axes are drawn as linear axes over logarithms with ticks of their own: Plotly's log axes mangle
    bars with widths and answer a box selection in another unit than the one it was drawn in.
    """
    if axis is Axis.LINEAR:
        return max(influence, low)
    return max(math.log10(influence), low) if influence > 0 else low


def influence_axis(axis: Axis, low: float, high: float) -> dict[str, Any]:
    """Range and ticks for an influence axis between two coordinates."""
    margin = 0.01 * (high - low)
    settings: dict[str, Any] = {"range": [low - margin, high + margin], "tickformat": ",~g"}
    if axis is Axis.LOG:
        ticks = _log_ticks(low, high)
        settings |= {
            "tickmode": "array",
            "tickvals": ticks,
            "ticktext": [amount(10**tick, 1) for tick in ticks],
        }
    return settings


def hatching(shape: str | list[str], palette: Palette) -> dict[str, Any]:
    """Plotly's `pattern` of bars that the hardest cut removes: grey lines on nothing."""
    return {"shape": shape, "fillmode": "replace", "fgcolor": palette.removed, "size": 5, "solidity": 0.35}


def log_count_axis(most: int) -> dict[str, Any]:
    """A log axis of counts up to `most`; from half a row, so that a bar of one still shows."""
    top = math.log10(max(10, most)) + 0.1
    return {"type": "log", "range": [-0.3, top], "dtick": 1, "tickformat": ",", "fixedrange": True}


def _log_ticks(low: float, high: float) -> list[float]:
    """Whole decades, thinned to at most nine; below two decades also 2 and 5 of each."""
    first, last = math.floor(low), math.ceil(high)
    step = max(1, math.ceil((last - first) / 9))
    decades = [float(power) for power in range(first, last + 1, step)]
    if high - low < _FEWEST_DECADES:
        decades = sorted({power + math.log10(part) for power in decades for part in (1, 2, 5)})
    return [tick for tick in decades if low <= tick <= high]
