"""What was chosen and is gone is said, and no click is taken for one on what replaces it."""

import pytest
from streamlit.testing.v1 import AppTest

from app import gone_choice


def _page() -> None:
    import streamlit as st

    from app.gone_choice import is_gone, tell_gone

    offered = st.session_state.setdefault("offered", {"a": "alpha", "b": "beta", "c": "gamma"})
    gone = [is_gone("one", offered), is_gone("some", offered)]
    st.selectbox("One", list(offered), format_func=offered.__getitem__, key="one")
    st.multiselect("Some", list(offered), format_func=offered.__getitem__, key="some")
    if any(gone):
        tell_gone()
    st.session_state["gone"] = gone


def _chosen() -> AppTest:
    page = AppTest.from_function(_page).run(timeout=60)
    page.selectbox(key="one").select("b")
    page.multiselect(key="some").set_value(["a", "b"]).run(timeout=60)
    assert page.session_state["gone"] == [False, False]
    return page


def _offer(page: AppTest, **offered: str) -> list[bool]:
    page.session_state["offered"] = offered
    page.run(timeout=60)
    assert not page.exception
    said = any("no longer offered" in element.proto.body for element in page.get("html"))
    found: list[bool] = page.session_state["gone"]
    assert said is any(found)
    return found


def test_what_is_still_offered_is_not_gone_also_under_another_name_and_among_others() -> None:
    page = _chosen()
    assert _offer(page, d="delta", b="beta, renamed", a="alpha") == [False, False]
    assert page.selectbox(key="one").value == "b"
    assert page.multiselect(key="some").value == ["a", "b"]


def test_what_is_no_longer_offered_is_gone_for_as_long_as_a_late_click_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = _chosen()
    assert _offer(page, a="alpha", c="gamma") == [True, True]
    assert _offer(page, a="alpha", c="gamma") == [True, True]
    monkeypatch.setattr(gone_choice, "_LATE_S", 0.0)
    assert _offer(page, a="alpha", c="gamma") == [False, False]
    assert page.selectbox(key="one").value == "a"
    assert page.multiselect(key="some").value == ["a"]
