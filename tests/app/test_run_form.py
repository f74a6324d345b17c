"""The choice of the loss and of its parameters gives the configuration's fields, defaults left out."""

import pytest
from streamlit.testing.v1 import AppTest

from bioprune_core.influence import InfluenceConfig


def _page() -> None:
    import streamlit as st

    from app.influence_form import influence_fields

    left, right = st.columns(2)
    st.session_state["chosen"] = influence_fields(left, right)


def test_defaults_are_left_out() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception
    assert page.session_state["chosen"] == {}
    assert [field.label for field in page.number_input] == ["Without a score at most (%)"]


@pytest.mark.parametrize(
    ("objective", "parameters", "expected"),
    [
        ("masked", "head", {"objective": "masked", "masks": 8}),
        ("paper-code", "all-linear", {"objective": "paper-code", "parameters": "all-linear"}),
    ],
)
def test_choices_are_fields_of_the_configuration(
    objective: str, parameters: str, expected: dict[str, object]
) -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    page.selectbox(key="objective").select(objective)
    page.selectbox(key="parameters").select(parameters).run(timeout=60)
    assert page.session_state["chosen"] == expected
    assert InfluenceConfig.from_json(expected).objective == objective
    if objective == "masked":
        page.number_input(key="masks").set_value(3).run(timeout=60)
        assert page.session_state["chosen"]["masks"] == 3


def test_the_policy_for_long_sequences_is_a_field_where_it_is_not_the_default() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception
    assert page.session_state["chosen"] == {}
    page.selectbox(key="too-long").select_index(1).run(timeout=60)
    assert page.session_state["chosen"] == {"too_long": "window"}
    assert InfluenceConfig.from_json(page.session_state["chosen"]).too_long == "window"


def test_precision_and_the_limit_of_unscored_sequences_are_fields() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    page.selectbox(key="precision").select_index(1)
    page.number_input(key="unscored-limit").set_value(2.0).run(timeout=60)
    assert page.session_state["chosen"] == {"precision": "float32", "unscored_limit": 0.02}
    assert InfluenceConfig.from_json(page.session_state["chosen"]).unscored_limit == 0.02


def _more_settings() -> None:
    import streamlit as st

    from app.run_form import _more

    st.session_state["settings"] = _more({}, st.number_input("Left over", value=5_000, key="left-over"))


def test_held_out_sequences_that_were_set_outlive_another_subset() -> None:
    page = AppTest.from_function(_more_settings).run(timeout=60)
    assert page.session_state["settings"]["held_out_size"] == 256
    page.number_input(key="held-out").set_value(1_000).run(timeout=60)
    for left_over, held_out in ((4_900, 1_000), (600, 600), (3_000, 1_000), (0, 0)):
        page.number_input(key="left-over").set_value(left_over).run(timeout=60)
        assert not page.exception
        assert page.session_state["settings"]["held_out_size"] == held_out


def test_a_press_of_plus_changes_the_learning_rate_by_little() -> None:
    page = AppTest.from_function(_more_settings).run(timeout=60)
    assert page.number_input(key="rate").step == pytest.approx(1e-5)
