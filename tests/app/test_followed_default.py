"""A field follows its default until somebody sets it; what was set stays, within its bounds."""

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import streamlit as st

    from app.followed_default import follow_default

    room = st.number_input("Room", value=256, key="room")
    follow_default("held-out", min(256, room), room)
    st.number_input("Held-out", min_value=0, max_value=room, key="held-out")
    follow_default("name", f"model with {room}")
    st.text_input("Name", key="name")


def _set(page: AppTest, room: int) -> AppTest:
    page.number_input(key="room").set_value(room).run(timeout=60)
    assert not page.exception
    return page


def test_an_untouched_field_follows_its_default() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    for room in (100, 400, 30):
        _set(page, room)
        assert page.number_input(key="held-out").value == min(256, room)
        assert page.text_input(key="name").value == f"model with {room}"


def test_what_was_set_stays_and_comes_back_once_there_is_room() -> None:
    page = _set(AppTest.from_function(_page).run(timeout=60), 2_000)
    page.number_input(key="held-out").set_value(1_000).run(timeout=60)
    page.text_input(key="name").set_value("my own").run(timeout=60)
    for room, shown in ((1_500, 1_000), (200, 200), (256, 256), (3_000, 1_000)):
        assert _set(page, room).number_input(key="held-out").value == shown
        assert page.text_input(key="name").value == "my own"


def test_an_emptied_name_is_the_default_again() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    page.text_input(key="name").set_value("my own").run(timeout=60)
    page.text_input(key="name").set_value("").run(timeout=60)
    assert page.text_input(key="name").value == "model with 256"


def test_a_value_that_the_browser_sent_before_it_knew_the_default_of_now_is_no_wish() -> None:
    page = _set(AppTest.from_function(_page).run(timeout=60), 100)
    # With this request the browser still has the name of before, as after two quick clicks.
    page.text_input(key="name").set_value("model with 256")
    assert _set(page, 400).text_input(key="name").value == "model with 400"
