"""What strata are made of: categories and letters as shares, lengths as quantiles."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.category_names import REST, category_name
from app.queries.composition import CategoryShares
from app.strata import Strata
from app.theme import Palette, category_colours, figure_layout, strata_colours

__all__ = ["category_chart", "length_chart", "letter_chart"]


def category_chart(
    shares: CategoryShares, strata: Strata, palette: Palette, *, name: str, height: int = 360
) -> go.Figure:
    """Stacked shares of categories per stratum; empty strata are left blank."""
    colours = category_colours(shares.names, palette)
    totals = shares.counts.sum(axis=1) + shares.rest
    series = [
        (category_name(category), colours[category], _share(shares.counts[:, index], totals))
        for index, category in enumerate(shares.names)
    ]
    if shares.rest.any():
        series.append((REST, palette.context, _share(shares.rest, totals)))
    figure = _shares(strata, series, totals, palette)
    return _finish(figure, f"{name} per stratum", "Share of sequences", palette, height)


def letter_chart(
    shares: NDArray[np.float64],
    letters: str,
    strata: Strata,
    colours: Mapping[str, str],
    counts: NDArray[np.int64],
    palette: Palette,
    *,
    height: int = 360,
) -> go.Figure:
    """Stacked shares of letters per stratum in their customary colours.

    Args:
        shares: From `letters`, shape (buckets, letters).
        letters: The letters, in the order of the columns.
        strata: The strata.
        colours: Colour of each letter.
        counts: Sequences per bucket, for hovering.
        palette: Colours of everything else.
        height: Pixels.
    """
    series = [
        (letter, colours.get(letter, palette.context), shares[:, index])
        for index, letter in enumerate(letters)
    ]
    figure = _shares(strata, series, counts, palette)
    return _finish(figure, "Letters per stratum", "Share of letters", palette, height)


def length_chart(
    quantiles: pd.DataFrame, strata: Strata, palette: Palette, *, unit: str, height: int = 360
) -> go.Figure:
    """Lengths per stratum: 5 to 95 % as a line, the middle half as a bar, the median as a mark."""
    colours = [*strata_colours(len(strata), palette), *[palette.removed] * strata.has_removed]
    place = quantiles["stratum"].to_numpy(np.int64)
    x = [strata.names[index] for index in place]
    shade = [colours[index] for index in place]
    low, quarter, median, upper, high = (
        quantiles[column].to_numpy(np.float64)
        for column in ("low", "quarter", "median", "three_quarters", "high")
    )
    figure = go.Figure()
    for start, stop, width in ((low, high, 0.12), (quarter, upper, 0.7)):
        figure.add_bar(
            x=x, y=stop - start, base=start, width=width, marker={"color": shade}, hoverinfo="skip"
        )
    figure.add_scatter(
        x=x,
        y=median,
        mode="markers",
        marker={"size": 7, "color": palette.background, "line": {"color": palette.text, "width": 1.5}},
        customdata=np.stack([low, quarter, upper, high, quantiles["count"].to_numpy(np.float64)], axis=1),
        hovertemplate=(
            "median %{y:,.0f} " + unit + "<br>middle half %{customdata[1]:,.0f} to %{customdata[2]:,.0f}"
            "<br>5 to 95 %: %{customdata[0]:,.0f} to %{customdata[3]:,.0f}"
            "<br>%{customdata[4]:,.0f} sequences<extra>stratum %{x}</extra>"
        ),
    )
    figure.update_layout(
        **figure_layout(
            "Length per stratum", "Stratum of influence", f"Length ({unit})", height=height, palette=palette
        )
    )
    figure.update_layout(
        barmode="overlay",
        showlegend=False,
        xaxis=_stratum_axis(strata),
        yaxis={"rangemode": "tozero"},
        dragmode=False,
        uirevision="composition",
    )
    return figure


def _share(counts: NDArray[np.int64], totals: NDArray[np.int64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.full(len(totals), np.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return shares


def _shares(
    strata: Strata,
    series: Sequence[tuple[str, str, NDArray[np.float64]]],
    totals: NDArray[np.int64],
    palette: Palette,
) -> go.Figure:
    figure = go.Figure()
    hover = np.stack([np.array(strata.intervals, dtype=object), totals.astype(object)], axis=1)
    for name, colour, values in series:
        figure.add_bar(
            x=strata.names,
            y=values,
            name=name,
            marker={"color": colour, "line": {"color": palette.background, "width": 0.5}},
            customdata=hover,
            hovertemplate=(
                f"{name}: %{{y:.1%}}<br>influence %{{customdata[0]}}<br>%{{customdata[1]:,}} sequences"
                "<extra>stratum %{x}</extra>"
            ),
        )
    figure.update_layout(xaxis=_stratum_axis(strata))
    return figure


def _finish(figure: go.Figure, title: str, y_name: str, palette: Palette, height: int) -> go.Figure:
    layout = figure_layout(title, "Stratum of influence", y_name, height=height, palette=palette)
    axis = figure.layout.xaxis.to_plotly_json()
    figure.update_layout(**layout)
    figure.update_layout(
        barmode="stack",
        bargap=0.08,
        showlegend=True,
        dragmode=False,
        legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top"},
        margin={"r": 120},
        xaxis=axis,
        yaxis={"range": [0, 1], "tickformat": ".0%"},
        uirevision="composition",
    )
    return figure


def _stratum_axis(strata: Strata) -> dict[str, object]:
    """Strata as names, so that the removed ones have a place; about ten of them get a tick."""
    names = strata.names
    step = max(1, round(len(strata) / 10))
    removed = names[len(strata) :]
    # Right beside "removed" a number has no room, and all names would be written aslant.
    end = len(strata) - step // 2 if removed else len(strata)
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": names,
        "range": [-0.5, len(names) - 0.5],
        "tickmode": "array",
        "tickvals": [*names[step - 1 : end : step], *removed],
        "fixedrange": True,
    }
