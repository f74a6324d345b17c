"""The controls of the Select page: which strategy, how much, which strata; all of it in the address."""

from collections.abc import Mapping
from decimal import Decimal

import streamlit as st

from app.components import field_error, note
from app.services import workspace
from app.strata_controls import MOST_STRATA, is_within_reach, percent_control, strata_control
from bioprune_core.errors import SelectionError
from bioprune_core.selection import (
    Measure,
    PickedSelection,
    SelectionConfig,
    StrataKind,
    Strategy,
    selection_from_json,
)
from bioprune_core.workspace import Coreset

__all__ = ["MEASURE_NAMES", "STRATEGY_NAMES", "selection_form", "start_from"]

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
    if strategy in (Strategy.RANDOM, Strategy.LENGTH_STRATIFIED):
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


def start_from(coreset: Coreset | None) -> None:
    """Set the controls to those of a coreset that the address names, once; call it before drawing them.

    What they cannot be set to is said, and then they are left as they are.
    """
    if coreset is None:
        return
    selection = selection_from_json(workspace().manifest(coreset)["selection"])
    if isinstance(selection, PickedSelection):
        # Picked by hand: there are no controls to set.
        return
    beyond = _beyond_reach(selection)
    if beyond:
        note(
            f'The controls cannot be set to those of "{coreset.name}", which has {" and ".join(beyond)}: '
            f"they take up to {MOST_STRATA:,} strata, percentages of six digits and seeds up to "
            f"{_MOST_SEED:,}. Its own page shows it as it is."
        )
    elif st.session_state.get(_STARTED) != coreset.id:
        st.session_state.update(_controls_of(selection))
    st.session_state[_STARTED] = coreset.id


def _controls_of(selection: SelectionConfig) -> dict[str, str | float | int]:
    """The values of the controls that a strategy has."""
    values: dict[str, str | float | int] = {
        "strategy": selection.strategy.value,
        "measure": selection.measure.value,
        "alpha": float(selection.prune_rate),
        "seed": selection.seed,
    }
    if selection.strategy is Strategy.COVERAGE_CENTRIC:
        values["beta"] = float(selection.hardest_cut)
    if selection.strategy in _STRATIFIED:
        values |= {"kind": selection.strata_kind.value, "k": selection.strata}
    return values


def _beyond_reach(selection: SelectionConfig) -> list[str]:
    """The settings that the controls cannot be set to, in words."""
    beyond = []
    if not is_within_reach(selection.prune_rate):
        beyond.append(f"a prune rate of {selection.prune_rate} %")
    if selection.strategy is Strategy.COVERAGE_CENTRIC and not is_within_reach(selection.hardest_cut):
        beyond.append(f"a hardest cut of {selection.hardest_cut} %")
    if selection.strategy in _STRATIFIED and selection.strata > MOST_STRATA:
        beyond.append(f"{selection.strata:,} strata")
    if selection.seed > _MOST_SEED:
        beyond.append(f"the seed {selection.seed}")
    return beyond


_STARTED = "selection-from"
_STRATIFIED = (Strategy.COVERAGE_CENTRIC, Strategy.LENGTH_STRATIFIED)
_MOST_SEED = 2**53 - 1
"""The largest whole number that a browser tells from its neighbours."""
