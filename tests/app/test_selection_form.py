"""The controls of the Select page make the selection that they show."""

from decimal import Decimal
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import sample_project

from bioprune_core.selection import Measure, SelectionConfig, StrataKind, Strategy
from bioprune_core.workspace import Workspace


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


def form_from_a_coreset() -> None:
    import streamlit as st

    from app.selection_form import selection_form, start_from
    from app.services import workspace

    start_from(workspace().coreset("opened"))
    config = selection_form()
    st.session_state["made"] = None if config is None else config.to_json()


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
def test_the_controls_are_those_of_an_opened_coreset(
    served: Workspace, tmp_path: Path, config: SelectionConfig
) -> None:
    *_, run = sample_project(served, tmp_path / "sample.fa")
    served.create_coreset(run, "opened", config)
    drawn = AppTest.from_function(form_from_a_coreset).run(timeout=60)
    assert not drawn.exception
    unused = {} if config.strategy is Strategy.COVERAGE_CENTRIC else {"hardest_cut": "0"}
    assert drawn.session_state["made"] == config.to_json() | unused
    assert "cannot be set" not in shown(drawn)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (SelectionConfig(prune_rate=Decimal(60), strata=2_000), "has 2,000 strata"),
        (SelectionConfig(prune_rate=Decimal("99.99995")), "has a prune rate of 99.99995 %"),
        (SelectionConfig(hardest_cut=Decimal("1.2345678")), "has a hardest cut of 1.2345678 %"),
        (SelectionConfig(seed=2**53, strata=1_001), f"has 1,001 strata and the seed {2**53}"),
    ],
)
def test_settings_beyond_the_controls_are_said_and_none_is_taken(
    served: Workspace, tmp_path: Path, config: SelectionConfig, said: str
) -> None:
    *_, run = sample_project(served, tmp_path / "sample.fa")
    served.create_coreset(run, "opened", config)
    drawn = AppTest.from_function(form_from_a_coreset).run(timeout=60)
    drawn.run(timeout=60)  # What is said stays.
    assert not drawn.exception
    assert said in shown(drawn)
    assert drawn.session_state["made"] == SelectionConfig(hardest_cut=Decimal(5)).to_json()


def shown(drawn: AppTest) -> str:
    return " ".join(element.proto.body for element in drawn.get("html"))
