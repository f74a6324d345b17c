"""Arms of an experiment against random, and over coreset sizes."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.theme import Palette, figure_layout
from bioprune_core.experiments import ArmCurve, Role
from bioprune_core.experiments.rows import Row
from bioprune_core.experiments.statistics import Result

__all__ = ["difference_chart", "size_chart"]

_SYMBOLS = {Result.WIN: "diamond", Result.LOSS: "x", Result.TIE: "circle", Result.UNKNOWN: "circle-open"}


def difference_chart(rows: Sequence[Row], palette: Palette, *, metric: str, size: int) -> go.Figure:
    """The paired difference of every arm to random B with its intervals, one line an arm.

    Args:
        rows: Of one block; those without a difference are left out.
        palette: Colours.
        metric: In words, with which side is better.
        size: B.
    """
    shown = [row for row in rows if row.against_random is not None and row.against_random.mean is not None]
    colours = {Role.ARM: palette.accent, Role.CONTROL: palette.muted, Role.REFERENCE: palette.text}
    figure = go.Figure()
    for row in reversed(shown):
        found = row.against_random
        assert found is not None
        assert found.mean is not None
        low, high = found.outer
        bars = {
            "type": "data",
            "symmetric": False,
            "array": [0 if high is None else high - found.mean],
            "arrayminus": [0 if low is None else found.mean - low],
            "thickness": 1.5,
            "width": 4,
            "color": colours[row.role],
        }
        figure.add_scatter(
            x=[found.mean],
            y=[row.arm],
            error_x=bars,
            mode="markers",
            marker={"symbol": _SYMBOLS[found.result], "size": 10, "color": colours[row.role]},
            hovertemplate=f"{row.arm}: %{{x:+.4g}}, {found.result}, {found.pairs} seeds<extra></extra>",
            showlegend=False,
        )
    figure.update_layout(
        **figure_layout(
            f"Difference to random, B = {size:,}",
            f"{metric}, arm minus random",
            "",
            height=110 + 30 * max(len(shown), 3),
            palette=palette,
            revision=f"difference {metric} {size}",
        )
    )
    figure.add_vline(x=0, line={"color": palette.text, "width": 1})
    figure.update_layout(dragmode=False)
    figure.update_yaxes(type="category", showgrid=True)
    return figure


def size_chart(curves: Sequence[ArmCurve], palette: Palette, *, metric: str) -> go.Figure:
    """Mean and standard deviation over seeds at every size; the full pool as a band.

    Args:
        curves: Of one task, protocol and metric.
        palette: Colours.
        metric: In words.
    """
    figure = go.Figure()
    full = list(curves[0].curve.full.values()) if curves else []
    if full:
        mean, spread = _mean_and_sd(full)
        figure.add_hline(y=mean, line={"color": palette.text, "width": 1.5, "dash": "dash"})
        figure.add_hrect(
            y0=mean - spread, y1=mean + spread, line_width=0, fillcolor=palette.grid, layer="below"
        )
        figure.add_annotation(
            text="full pool", x=1, xref="paper", xanchor="right", y=mean, yanchor="bottom", showarrow=False
        )
    for index, arm in enumerate(curves):
        sizes = sorted(size for size, values in arm.curve.values.items() if values)
        summaries = [_mean_and_sd(list(arm.curve.values[size].values())) for size in sizes]
        control = arm.role is Role.CONTROL
        colour = palette.muted if control else palette.categories[index % len(palette.categories)]
        figure.add_scatter(
            x=sizes,
            y=[mean for mean, _ in summaries],
            error_y={"type": "data", "array": [sd for _, sd in summaries], "thickness": 1, "width": 3},
            mode="lines+markers",
            line={"color": colour, "width": 1.5 if control else 2, "dash": "dot" if control else "solid"},
            marker={"size": 7},
            name=arm.arm,
            visible="legendonly" if control else True,
            hovertemplate=f"{arm.arm}, %{{x:,}} sequences: %{{y:.4g}}<extra></extra>",
        )
    figure.update_layout(
        **figure_layout(
            "Coreset size",
            "Sequences of the coreset (log scale)",
            metric,
            height=400,
            palette=palette,
            revision=f"sizes {metric}",
        )
    )
    figure.update_layout(dragmode=False, legend={"y": -0.28, "x": 0, "xanchor": "left", "yanchor": "top"})
    # One tick for every size that was measured.
    ticks = sorted({size for arm in curves for size, values in arm.curve.values.items() if values})
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    return figure


def _mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    return mean, (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
