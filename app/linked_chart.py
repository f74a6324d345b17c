"""A chart that is brushed: it keeps zoom and place while its data changes, and answers with shapes.

Streamlit's own Plotly element is made anew whenever its figure changes, which throws away zoom and flickers;
this component draws new data into the picture that is there.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.io import to_json

from app.components import data_button
from app.library_route import LIBRARY_PATH
from app.theme import plot_config
from bioprune_core.selection.polygon import Vertices, simplify

__all__ = ["Gesture", "GestureKind", "linked_chart", "read_gesture"]

_MOST_VERTICES = 20_000
_HTML = '<div class="bp-linked" role="figure"></div>'


class GestureKind(StrEnum):
    """What a person did on a chart."""

    BOX = "box"
    LASSO = "lasso"
    POINT = "point"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Gesture:
    """One gesture in the coordinates of the chart's axes.

    Args:
        kind: What was done.
        x: Range of a box.
        y: Range of a box.
        vertices: Outline of a lasso, simplified; of a box, its corners.
        data: The custom data of the point that was clicked.
    """

    kind: GestureKind
    x: tuple[float, float] = (0.0, 0.0)
    y: tuple[float, float] = (0.0, 0.0)
    vertices: Vertices = ()
    data: tuple[float, ...] = ()


@cache
def _component() -> Any:
    return st.components.v2.component(
        "bioprune.linked_chart",
        html=_HTML,
        css=".bp-linked { width: 100%; }",
        js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
        # Plotly writes its own style rules into the page's head, where a shadow root would not see them.
        isolate_styles=False,
    )


def linked_chart(
    figure: go.Figure,
    name: str,
    on_gesture: Callable[[Gesture], None],
    *,
    alt: str,
    brushed: bool = False,
    clickable: bool = False,
    file_name: str | None = None,
    data: Callable[[], bytes] | None = None,
) -> None:
    """Draw a chart and pass on what a person does on it.

    Args:
        figure: Made with `theme.figure_layout`; its `uirevision` says how long zoom is kept.
        name: Key of the chart in the page.
        on_gesture: Called before the run of the page that the gesture causes.
        alt: What the picture shows, for those who cannot see it.
        brushed: Whether there is a brush that a double click takes away.
        clickable: Whether points answer to a click.
        file_name: Name of a downloaded picture or table, without ending; the chart's name when None.
        data: Makes the data behind the picture as CSV; called only when the button is pressed.
    """
    key = f"linked-{name}"

    def changed() -> None:
        gesture = read_gesture(st.session_state[key].get("gesture"))
        if gesture is not None:
            on_gesture(gesture)

    with st.container(gap=None):
        _component()(
            key=key,
            data={
                "figure": to_json(figure, validate=False),
                "config": plot_config(file_name or name),
                "library": LIBRARY_PATH,
                "alt": alt,
                "brushed": brushed,
                "clickable": clickable,
            },
            height=int(figure.layout.height),
            on_gesture_change=changed,
        )
        if data is not None:
            data_button(file_name or name, data)


def read_gesture(value: object) -> Gesture | None:
    """What the browser sent, checked; None where it makes no sense."""
    if not isinstance(value, Mapping):
        return None
    try:
        kind = GestureKind(str(value.get("kind")))
        if kind is GestureKind.BOX:
            x, y = _range(value["x"]), _range(value["y"])
            corners = ((x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]))
            return Gesture(kind, x, y, corners)
        if kind is GestureKind.LASSO:
            drawn = [(_finite(x), _finite(y)) for x, y in value["vertices"][:_MOST_VERTICES]]
            return Gesture(kind, vertices=simplify(drawn)) if len(set(drawn)) >= 3 else None
        if kind is GestureKind.POINT:
            return Gesture(kind, data=tuple(_finite(number) for number in value["data"][:16]))
    except (KeyError, TypeError, ValueError):
        return None
    return Gesture(kind)


def _range(value: Any) -> tuple[float, float]:
    low, high = sorted(_finite(bound) for bound in value)
    return low, high


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no coordinate")
    return number
