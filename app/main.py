"""The entry script of every page run: style, navigation, the page."""

from pathlib import Path

import streamlit as st

from app.components import install_style
from app.context import confirm_address, place, set_place, workspace
from app.failures import show_failure
from app.job_views import log_closed
from app.navigation import available, icon, link, pages, title
from bioprune_core.errors import BioPruneError

_ICON = Path(__file__).with_name("icon.svg")
# Drawn by the style sheet: Streamlit takes pictures out of HTML.
_BRAND = '<div class="bp-brand"><b><i></i><i></i><i></i><i></i></b><span>BioPrune</span></div>'
_NO_PROJECT = "no-project"


def _sidebar() -> None:
    st.html(_BRAND)
    projects = workspace().projects()
    if projects:
        names = {project.id: project.name for project in projects}
        here = next((project for project in projects if project.id == place().project), None)
        options = list(names)
        chosen = st.selectbox(
            "Project",
            options,
            index=options.index(here.id) if here else None,
            format_func=lambda identity: names[identity],
            placeholder="Choose a project",
            # A key of its own for each place: the address decides, not an old choice in the session.
            key=f"project-of-{here.id if here else _NO_PROJECT}",
        )
        if chosen is not None and (here is None or chosen != here.id):
            set_place(project=chosen)
            st.rerun()
    with st.container(gap="xxsmall"):
        for name in available():
            link(name, title(name), icon=icon(name))


def main() -> None:
    """Draw one run of the application; what it lets through is shown by `failures.show_failure`."""
    st.set_page_config(page_title="BioPrune", page_icon=_ICON, layout="wide", initial_sidebar_state=232)
    install_style()
    log_closed()
    confirm_address()
    chosen = st.navigation(list(pages().values()), position="hidden")
    with st.sidebar:
        _sidebar()
    try:
        chosen.run()
    except BioPruneError as error:
        # Streamlit would log a traceback of it before it asks how to show it.
        show_failure(error)
        st.stop()


if __name__ == "__main__":
    main()
