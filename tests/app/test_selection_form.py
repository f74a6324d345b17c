"""The controls of the Select page make the selection that they show."""

from decimal import Decimal

import pytest
from streamlit.testing.v1 import AppTest

from app.selection_form import address_of, beyond_reach
from bioprune_core.selection import Measure, SelectionConfig, StrataKind, Strategy


def form() -> None:
    import streamlit as st

    from app.selection_form import selection_form

    config = selection_form()
    st.session_state["made"] = None if config is None else config.to_json()


def test_the_score_is_chosen_and_only_where_a_strategy_uses_one() -> None:
    drawn = AppTest.from_function(form).run(timeout=60)
    assert not drawn.exception
    assert drawn.session_state["made"]["measure"] == "influence"
    drawn.selectbox(key="measure").select("length-adjusted").run(timeout=60)
    assert drawn.session_state["made"]["measure"] == "length-adjusted"
    drawn.selectbox(key="strategy").select("random").run(timeout=60)
    assert "measure" not in {box.key for box in drawn.selectbox}
    assert drawn.session_state["made"]["measure"] == "influence"


@pytest.mark.parametrize(
    "config",
    [
        SelectionConfig(
            prune_rate=Decimal("99.9999"), hardest_cut=Decimal("0.125"), strata=1_000, seed=2**53 - 1
        ),
        SelectionConfig(Strategy.LENGTH_STRATIFIED, Decimal(75), strata=7, strata_kind=StrataKind.LOG_WIDTH),
        SelectionConfig(
            Strategy.TOP_INFLUENCE, Decimal(75), Decimal(50), strata=50, measure=Measure.LENGTH_ADJUSTED
        ),
    ],
)
def test_the_address_of_a_selection_sets_the_controls_to_it(config: SelectionConfig) -> None:
    assert beyond_reach(config) == ""
    drawn = AppTest.from_function(form)
    for name, value in address_of(config).items():
        drawn.query_params[name] = value
    drawn.run(timeout=60)
    assert not drawn.exception
    unused = {} if config.strategy is Strategy.COVERAGE_CENTRIC else {"hardest_cut": "0"}
    assert drawn.session_state["made"] == config.to_json() | unused


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (SelectionConfig(prune_rate=Decimal(60), strata=2_000), "has 2,000 strata"),
        (SelectionConfig(prune_rate=Decimal("99.99995")), "has a prune rate of 99.99995 %"),
        (SelectionConfig(hardest_cut=Decimal("1.2345678")), "has a hardest cut of 1.2345678 %"),
        (SelectionConfig(seed=2**53, strata=1_001), f"has 1,001 strata and the seed {2**53}"),
    ],
)
def test_settings_beyond_the_controls_are_said(config: SelectionConfig, said: str) -> None:
    assert said in beyond_reach(config)
