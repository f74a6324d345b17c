"""A double click starts one thing; a press later, or of other settings, starts another."""

import pytest
from streamlit.testing.v1 import AppTest

from app import one_start


def _page() -> None:
    import streamlit as st

    from app.one_start import start_once

    seed = st.number_input("Seed", value=0, key="seed")
    if st.button("Start", key="start"):
        ids = st.session_state["ids"]
        st.session_state["opened"] = start_once("form", {"seed": seed}, lambda: next(ids))


@pytest.fixture
def page() -> AppTest:
    page = AppTest.from_function(_page)
    page.session_state["ids"] = iter(["model 1", "model 2"])
    return page.run(timeout=60)


def _press(page: AppTest) -> str | None:
    page.button(key="start").click().run(timeout=60)
    assert not page.exception
    opened: str | None = page.session_state["opened"]
    return opened


def test_the_second_press_of_a_double_click_opens_what_the_first_one_started(page: AppTest) -> None:
    assert [_press(page), _press(page), _press(page)] == ["model 1"] * 3


def test_other_settings_are_started_at_once(page: AppTest) -> None:
    assert _press(page) == "model 1"
    page.number_input(key="seed").set_value(1).run(timeout=60)
    assert _press(page) == "model 2"


def test_the_same_settings_can_be_started_again_later(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _press(page) == "model 1"
    monkeypatch.setattr(one_start, "_DOUBLE_CLICK_S", 0.0)
    assert _press(page) == "model 2"


def test_what_was_refused_is_tried_again(page: AppTest) -> None:
    page.session_state["ids"] = iter([None, "model 1"])
    assert [_press(page), _press(page)] == [None, "model 1"]
