"""What a form makes, it makes once, however often its button is clicked."""

import pytest
import streamlit as st

from app.one_click import made_once


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    kept: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", kept)
    return kept


@pytest.mark.usefixtures("session")
def test_the_second_click_on_a_form_gives_what_the_first_one_made() -> None:
    names = iter(["first", "second"])
    assert made_once("form", False, lambda: next(names)) is None
    assert made_once("form", True, lambda: next(names)) == "first"
    assert made_once("form", True, lambda: next(names)) == "first"
    # Drawn without a click, it is a new form.
    assert made_once("form", False, lambda: next(names)) is None
    assert made_once("form", True, lambda: next(names)) == "second"


@pytest.mark.usefixtures("session")
def test_a_form_that_stays_makes_another_thing_once_something_else_is_asked_for() -> None:
    names = iter(["first", "second"])
    assert made_once("form", True, lambda: next(names), asked=("tiny", 0)) == "first"
    assert made_once("form", True, lambda: next(names), asked=("tiny", 0)) == "first"
    assert made_once("form", True, lambda: next(names), asked=("tiny", 1)) == "second"


@pytest.mark.usefixtures("session")
def test_a_form_that_was_refused_can_be_clicked_again() -> None:
    answers = iter([None, "made"])
    assert made_once("form", True, lambda: next(answers)) is None
    assert made_once("form", True, lambda: next(answers)) == "made"


def test_what_was_made_is_known_although_the_run_ends_before_it_could_write_to_the_session(
    session: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> str:
        monkeypatch.setattr(st, "session_state", None)
        return "made"

    assert made_once("form", True, make) == "made"
    monkeypatch.setattr(st, "session_state", session)
    assert made_once("form", True, lambda: "another") == "made"
