"""The visual language: what a colour means, in light and dark, and the layout every chart starts from.

Influence is always cividis; strata are its quantised steps; what is in the coreset carries the accent;
what is not selected is light grey; what the hardest cut removes is hatched grey; categories are Okabe-Ito.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import streamlit as st
from plotly.colors import sample_colorscale

__all__ = [
    "AMINO_ACIDS",
    "DARK",
    "INFLUENCE_SCALE",
    "LIGHT",
    "NUCLEOTIDES",
    "Mode",
    "Palette",
    "category_colours",
    "current_palette",
    "figure_layout",
    "influence_scale",
    "plot_config",
    "strata_colours",
]

INFLUENCE_SCALE = "Cividis"
"""The Plotly colour scale of influence, everywhere."""

FONT = '"Source Sans", sans-serif'
"""The page's own font, which Streamlit serves."""

NUCLEOTIDES: Mapping[str, str] = {
    "A": "#2ca05a",
    "C": "#2f6fc4",
    "G": "#e0a100",
    "T": "#cc3d3d",
    "U": "#cc3d3d",
    "N": "#9aa0a6",
}
"""The customary colours of nucleotides."""

_AMINO_ACID_GROUPS = {
    "AVLIMC": "#3b78b5",  # hydrophobic
    "FWYH": "#0f8f83",  # aromatic
    "STNQ": "#4c9a3f",  # polar
    "KR": "#c93a3a",  # positive
    "DE": "#a74ac2",  # negative
    "G": "#e08a2e",
    "P": "#b5a100",
}
AMINO_ACIDS: Mapping[str, str] = {
    letter: colour for letters, colour in _AMINO_ACID_GROUPS.items() for letter in letters
}
"""Colours of amino acids by chemical character, after the Clustal scheme."""


class Mode(StrEnum):
    """The appearance a person's browser asks for."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one mode, as hexadecimal RGB.

    Args:
        mode: Light or dark.
        background: The page.
        surface: Panels, sidebar, table headers.
        text: Body text and titles.
        muted: Captions, axis labels; at least 4.5:1 on the background.
        line: Borders and axis lines.
        grid: Grid lines of charts.
        accent: What is in the coreset; the primary action.
        accent_hover: The primary action below the mouse; like the accent, at least 4.5:1 to the background,
            which is the colour of its words.
        accent_soft: Fill behind accent lines.
        context: What is not selected, drawn behind what is.
        removed: What the hardest cut takes away; drawn hatched.
        positive: Finished work.
        warning: Needs attention.
        negative: Failed work, errors at a field.
        categories: Eight Okabe-Ito colours in order of use.
    """

    mode: Mode
    background: str
    surface: str
    text: str
    muted: str
    line: str
    grid: str
    accent: str
    accent_hover: str
    accent_soft: str
    context: str
    removed: str
    positive: str
    warning: str
    negative: str
    categories: tuple[str, ...]


_OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442")

LIGHT = Palette(
    mode=Mode.LIGHT,
    background="#ffffff",
    surface="#f5f5f2",
    text="#1d2125",
    muted="#61676d",
    line="#d9dad6",
    grid="#ecece8",
    accent="#8f2466",
    accent_hover="#6f1b4f",
    accent_soft="#f3e3ed",
    context="#c9cbcc",
    removed="#8b9095",
    positive="#1b6e4b",
    warning="#a4590a",
    negative="#b3261e",
    categories=(*_OKABE_ITO, "#000000"),
)
DARK = Palette(
    mode=Mode.DARK,
    background="#15171a",
    surface="#1e2125",
    text="#e6e7e8",
    muted="#a2a8ae",
    line="#3a3f45",
    grid="#282c31",
    accent="#d3609f",
    accent_hover="#e99bc6",
    accent_soft="#3b2131",
    context="#4b5157",
    removed="#7c8288",
    positive="#6fcfa3",
    warning="#f0ab5e",
    negative="#f2877f",
    # Okabe-Ito's black cannot be seen on a dark page; white takes its place.
    categories=(*_OKABE_ITO, "#ffffff"),
)


def current_palette() -> Palette:
    """The palette of the person looking at the page now; light where the browser does not say."""
    return DARK if st.context.theme.type == "dark" else LIGHT


_DARKEST = 0.24
"""Where the influence scale starts on a dark page: below it, cividis cannot be told from the background."""


def influence_scale(palette: Palette, steps: int = 16) -> list[list[float | str]]:
    """The influence scale as Plotly's `colorscale`: cividis, on a dark page without its darkest quarter."""
    return [[step / (steps - 1), colour] for step, colour in enumerate(strata_colours(steps, palette))]


def strata_colours(count: int, palette: Palette = LIGHT) -> list[str]:
    """`count` steps of the influence scale, from the least to the most influential stratum, as `rgb()`."""
    start = _DARKEST if palette.mode is Mode.DARK else 0.0
    places = [0.5] if count == 1 else [start + (1 - start) * step / (count - 1) for step in range(count)]
    return list(sample_colorscale(INFLUENCE_SCALE, places))


def category_colours(names: Sequence[str | None], palette: Palette) -> dict[str | None, str]:
    """Colours for categories in the order given; beyond eight the rest share the grey of all others."""
    colours = dict(zip(names, palette.categories, strict=False))
    return colours | dict.fromkeys(names[len(palette.categories) :], palette.context)


def figure_layout(
    title: str,
    x_title: str,
    y_title: str,
    *,
    height: int = 360,
    palette: Palette | None = None,
    revision: str | None = None,
) -> dict[str, Any]:
    """The layout every chart starts from; pass it to `figure.update_layout(**...)`.

    Args:
        title: What the chart shows, in sentence case.
        x_title: Name of the horizontal axis with its unit in brackets.
        y_title: Name of the vertical axis with its unit in brackets.
        height: Pixels.
        palette: Colours; those of the person looking when None.
        revision: Plotly's `uirevision`: as long as it stays the same, zoom and pan survive new data.
            The title when None.

    Returns:
        Keyword arguments for `update_layout`. Draw the figure with `components.chart`, which passes
        `theme=None`, so that nothing overrides these colours.
    """
    colours = palette or current_palette()
    axis = {
        "gridcolor": colours.grid,
        "linecolor": colours.line,
        "zerolinecolor": colours.line,
        "tickfont": {"color": colours.muted, "size": 12},
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": colours.line,
        "separatethousands": True,
        "exponentformat": "none",
        "automargin": True,
        "showline": True,
    }
    axis_title = {"font": {"color": colours.muted, "size": 13}, "standoff": 10}
    return {
        "title": {
            "text": title,
            "font": {"color": colours.text, "size": 15, "weight": 600},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 8, "l": 4},
        },
        "xaxis": {**axis, "title": {**axis_title, "text": x_title}, "showgrid": False},
        "yaxis": {**axis, "title": {**axis_title, "text": y_title}},
        "font": {"family": FONT, "size": 13, "color": colours.text},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(colours.categories),
        "margin": {"t": 44, "r": 16, "b": 48, "l": 56},
        "height": height,
        "legend": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"color": colours.muted, "size": 12},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "hoverlabel": {
            "bgcolor": colours.surface,
            "bordercolor": colours.line,
            "font": {"family": FONT, "color": colours.text, "size": 13},
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": colours.muted,
            "activecolor": colours.accent,
            "orientation": "h",
        },
        "dragmode": "pan",
        "bargap": 0.04,
        "separators": ".,",
        "uirevision": revision or title,
    }


def plot_config(file_name: str, picture: str = "svg") -> dict[str, Any]:
    """Plotly's `config`: no logo, no upload elsewhere, a button that saves an SVG or PNG as `file_name`."""
    return {
        "displaylogo": False,
        "displayModeBar": "hover",
        "toImageButtonOptions": {"format": picture, "filename": file_name, "scale": 2},
        "modeBarButtonsToRemove": ["zoomIn2d", "zoomOut2d", "autoScale2d", "sendChartToCloud"],
    }
