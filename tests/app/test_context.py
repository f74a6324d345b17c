from streamlit.testing.v1 import AppTest

from bioprune_core.workspace import Workspace


def show_place() -> None:
    import streamlit as st

    from app.context import confirm_address, place

    confirm_address()
    st.text(place().project or "no project")


def test_the_only_project_is_open_unless_the_address_names_one(served: Workspace) -> None:
    shown = AppTest.from_function(show_place).run()
    assert shown.text[0].value == "no project"
    only = served.create_project("only")
    assert shown.run().text[0].value == only.id
    assert "project" not in shown.query_params  # or Back would lead to where one is
    shown.query_params["project"] = "project-gone"
    assert shown.run().text[0].value == "project-gone"
    del shown.query_params["project"]
    served.create_project("another")
    assert shown.run().text[0].value == "no project"
