"""The controls of the Select page: which strategy, how much, which strata; all of it in the address."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

import streamlit as st

from app.components import field_error, note
from app.context import place
from app.navigation import PageName, page
from app.strata_controls import KIND_NAMES, MOST_STRATA, is_within_reach, percent_control, strata_control
from bioprune_core.errors import SelectionError
from bioprune_core.selection import Measure, SelectionConfig, StrataKind, Strategy
from bioprune_core.workspace import Coreset

__all__ = [
    "MEASURE_NAMES",
    "STRATEGY_NAMES",
    "address_of",
    "beyond_reach",
    "selection_form",
    "show_selection",
]

STRATEGY_NAMES: Mapping[Strategy, str] = {
    Strategy.COVERAGE_CENTRIC: "Coverage-centric (CCI)",
    Strategy.TOP_INFLUENCE: "Largest influence (Top-I)",
    Strategy.RANDOM: "Random (control)",
    Strategy.LENGTH_STRATIFIED: "Random by length (control)",
    Strategy.BOTTOM_INFLUENCE: "Smallest influence (control)",
}
"""Strategies in the order they are offered."""

MEASURE_NAMES: Mapping[Measure, str] = {
    Measure.INFLUENCE: "Influence",
    Measure.LENGTH_ADJUSTED: "Length-adjusted influence",
}
"""Scores in the order they are offered."""

_USES: Mapping[Strategy, str] = {
    Strategy.COVERAGE_CENTRIC: "A small coreset that still covers the whole range of influence: the largest "
    "are cut, the rest is divided into strata, and every stratum gives an equal share as far as it can.",
    Strategy.TOP_INFLUENCE: "The sequences that the model is most sensitive to. Often near-duplicates of a "
    "few families: look at the coverage below.",
    Strategy.RANDOM: "What any other strategy has to beat.",
    Strategy.LENGTH_STRATIFIED: "An equal share from every stratum of length: shows how much of an effect is "
    "length alone.",
    Strategy.BOTTOM_INFLUENCE: "The sequences that the model is least sensitive to, to compare with.",
}


def selection_form() -> SelectionConfig | None:
    """Draw the controls.

    Returns:
        The selection, or None where its values contradict each other; then the field says why.
    """
    name = st.selectbox(
        "Strategy",
        [each.value for each in STRATEGY_NAMES],
        format_func=lambda value: STRATEGY_NAMES[Strategy(value)],
        key="strategy",
        bind="query-params",
    )
    strategy = Strategy(name)
    note(_USES[strategy])
    measure = _measure_control(strategy)
    alpha = percent_control(
        "Prune rate (alpha, %)",
        "alpha",
        90.0,
        "The share of the pool that is left out. 90 keeps one sequence in ten.",
    )
    above_alpha = st.container()
    beta = Decimal(0)
    if strategy is Strategy.COVERAGE_CENTRIC:
        beta = percent_control(
            "Hardest cut (beta, %)",
            "beta",
            5.0,
            "The share of the pool with the largest influence that is removed before strata are made. These "
            "are not the sequences with the largest loss: look at them on the Explore page.",
        )
    above_strata = st.container()
    kind, count = StrataKind.EQUAL_WIDTH, 50
    if strategy in _STRATIFIED:
        kind, count = strata_control()
    seed = st.number_input(
        "Seed",
        min_value=0,
        value=0,
        step=1,
        key="seed",
        bind="query-params",
        help="The same seed gives the same coreset, and a smaller one is part of a larger one.",
    )
    try:
        return SelectionConfig(strategy, alpha, beta, count, kind, int(seed), measure)
    except SelectionError as error:
        with above_strata if strategy is Strategy.COVERAGE_CENTRIC else above_alpha:
            field_error(error.message)
        return None


def _measure_control(strategy: Strategy) -> Measure:
    """The score that the strategy goes by; random controls go by none."""
    if strategy in _WITHOUT_SCORE:
        return Measure.INFLUENCE
    chosen = st.selectbox(
        "Score",
        [each.value for each in MEASURE_NAMES],
        format_func=lambda value: MEASURE_NAMES[Measure(value)],
        key="measure",
        bind="query-params",
        help="Short sequences tend to have a larger influence. The length-adjusted score is what is left of "
        "the logarithm of influence after a straight line in that of the length; it can be negative.",
    )
    return Measure(chosen)


def show_selection(coreset: Coreset, selection: SelectionConfig) -> NoReturn:
    """Open the Select page with the controls at the settings of a coreset; they are in its address.

    Args:
        coreset: The coreset.
        selection: How it was selected; nothing of it may be `beyond_reach`.
    """
    # Where the address gives a field its default, Streamlit takes what the field held on an earlier visit.
    for name in _CONTROLS:
        st.session_state.pop(name, None)
    here = place().within(run=coreset.run_id, coreset=None)
    st.switch_page(page(PageName.SELECT), query_params={**here.parameters(), **address_of(selection)})


def address_of(selection: SelectionConfig) -> dict[str, str]:
    """The values of the controls that a strategy has, as query parameters."""
    # Of an option, the address has the words that a person reads.
    values = {
        "strategy": STRATEGY_NAMES[selection.strategy],
        "alpha": str(selection.prune_rate),
        "seed": str(selection.seed),
    }
    if selection.strategy not in _WITHOUT_SCORE:
        values["measure"] = MEASURE_NAMES[selection.measure]
    if selection.strategy is Strategy.COVERAGE_CENTRIC:
        values["beta"] = str(selection.hardest_cut)
    if selection.strategy in _STRATIFIED:
        values |= {"kind": KIND_NAMES[selection.strata_kind], "k": str(selection.strata)}
    return values


def beyond_reach(selection: SelectionConfig) -> str:
    """What the controls cannot be set to, in a sentence; empty where they can be set to all of it."""
    beyond = []
    if not is_within_reach(selection.prune_rate):
        beyond.append(f"a prune rate of {selection.prune_rate} %")
    if selection.strategy is Strategy.COVERAGE_CENTRIC and not is_within_reach(selection.hardest_cut):
        beyond.append(f"a hardest cut of {selection.hardest_cut} %")
    if selection.strategy in _STRATIFIED and selection.strata > MOST_STRATA:
        beyond.append(f"{selection.strata:,} strata")
    if selection.seed > _MOST_SEED:
        beyond.append(f"the seed {selection.seed}")
    if not beyond:
        return ""
    return (
        f"The Select page cannot show this selection, which has {' and '.join(beyond)}: its controls take up "
        f"to {MOST_STRATA:,} strata, percentages of six digits and seeds up to {_MOST_SEED:,}."
    )


_CONTROLS = ("strategy", "measure", "alpha", "beta", "kind", "k", "seed")
_STRATIFIED = (Strategy.COVERAGE_CENTRIC, Strategy.LENGTH_STRATIFIED)
_WITHOUT_SCORE = (Strategy.RANDOM, Strategy.LENGTH_STRATIFIED)
_MOST_SEED = 2**53 - 1
"""The largest whole number that a browser tells from its neighbours."""
