"""The controls of the Select page make the selection that they show."""

from streamlit.testing.v1 import AppTest


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
