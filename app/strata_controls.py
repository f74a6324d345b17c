"""The knobs of a selection, the same on every page and in every address: alpha, beta, k, kind, seed."""

from collections.abc import Mapping
from decimal import Decimal

import streamlit as st

from app.components import field_error
from app.run_data import OpenRun
from app.strata import Strata
from bioprune_core.errors import SelectionError
from bioprune_core.selection import SelectionConfig, SelectionSummary, StrataKind, Strategy

__all__ = [
    "KIND_NAMES",
    "MOST_STRATA",
    "address_of",
    "is_within_reach",
    "percent_control",
    "strata_control",
    "strata_of",
]

KIND_NAMES: Mapping[StrataKind, str] = {
    StrataKind.EQUAL_WIDTH: "Equal width",
    StrataKind.LOG_WIDTH: "Equal width in log",
    StrataKind.CUM_SQRT_F: "Dalenius-Hodges (cum √f)",
    StrataKind.QUANTILE: "Quantiles (control)",
}
"""What the kinds of strata are called."""

_KIND_HELP = (
    "How the range of influence is cut. Equal width is the method's own. With heavy tails it puts nearly all "
    "sequences into a few strata; equal width in log and Dalenius-Hodges spread them. Quantiles give every "
    "stratum the same number of sequences, which amounts to random sampling, and serve as a control."
)
MOST_STRATA = 1_000
"""Fewer than a selection may have: every stratum is a bar of a picture."""

_MOST_PERCENT = 99.9999
_SLIDER_TOP = 99.5


def percent_control(label: str, key: str, default: float, text: str) -> Decimal:
    """A percentage as a slider for the hand and a field for the exact value; the field is in the address.

    Args:
        label: Name of the field.
        key: Its name in the address.
        default: Its value when the address has none.
        text: Explanation.
    """
    with st.container(gap=None):
        above = st.container()
        value = st.number_input(
            f"{label}, exact value",
            min_value=0.0,
            max_value=_MOST_PERCENT,
            value=default,
            step=1.0,
            format="%.6g",
            key=key,
            bind="query-params",
            label_visibility="collapsed",
        )
        with above:
            _slider(label, key, value, text)
    return _exact(value)


def is_within_reach(percent: Decimal) -> bool:
    """Whether the field of a percentage can be set to this very number."""
    return percent <= Decimal(str(_MOST_PERCENT)) and _exact(float(percent)) == percent


def _exact(value: float) -> Decimal:
    return Decimal(f"{value:.6g}")


def _slider(label: str, key: str, value: float, text: str) -> None:
    """A slider at the value of the field, which holds the exact value and is the one in the address.

    Where the field has left the slider behind, a new slider takes its place. Writing to the old one would
    lose values: what a person enters next, before the browser has heard of the write, comes with the slider's
    old value, which looks like a move and would set the field back.
    """
    place = min(_SLIDER_TOP, round(2 * value) / 2)
    state = f"{key}-slider"
    number, last = st.session_state.get(state, (0, place))
    if last != place:
        number += 1
    st.session_state[state] = (number, place)
    slider = f"{state}-{number}"

    def moved() -> None:
        # The browser may still send the value of a slider that it will hear has been replaced.
        if st.session_state[state][0] == number:
            st.session_state[key] = st.session_state[slider]
            st.session_state[state] = (number, st.session_state[slider])

    st.slider(
        label, 0.0, _SLIDER_TOP, value=place, step=0.5, format=" ", key=slider, on_change=moved, help=text
    )


def strata_control() -> tuple[StrataKind, int]:
    """Kind and number of strata."""
    kind = st.selectbox(
        "Strata",
        [each.value for each in StrataKind],
        format_func=lambda value: KIND_NAMES[StrataKind(value)],
        key="kind",
        bind="query-params",
        help=_KIND_HELP,
    )
    count = st.number_input(
        "Number of strata (k)",
        min_value=1,
        max_value=MOST_STRATA,
        value=50,
        step=5,
        key="k",
        bind="query-params",
        help=f"1 to {MOST_STRATA:,}. The method's usual value is 50.",
    )
    return StrataKind(kind), int(count)


def strata_of(data: OpenRun, beta: Decimal, kind: StrataKind, count: int) -> Strata:
    """The strata of a run; what the scores do not allow is said, and one stratum takes its place."""
    config = SelectionConfig(
        Strategy.COVERAGE_CENTRIC, prune_rate=beta, hardest_cut=beta, strata=count, strata_kind=kind
    )
    try:
        return _edges(data.occupancy(config))
    except SelectionError as error:
        field_error(error.message)
        return Strata((data.extent.low, data.extent.high))


def _edges(occupancy: SelectionSummary) -> Strata:
    edges = [stratum.low for stratum in occupancy.strata] + [occupancy.strata[-1].high]
    return Strata(tuple(edges), has_removed=occupancy.removed > 0)


def address_of(names: tuple[str, ...] = ("alpha", "beta", "k", "kind", "seed")) -> dict[str, str]:
    """The knobs that are in this page's address, to take along to another page."""
    return {name: st.query_params[name] for name in names if name in st.query_params}
