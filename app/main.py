"""The entry script of every page run: style, navigation, the page, the sentence for an error."""

import logging

import streamlit as st

from app.components import Html, install_style, show_error
from app.context import current_project, place, set_place, workspace
from app.navigation import PageName, link, pages
from bioprune_core.errors import BioPruneError, NotFoundError

_LOG = logging.getLogger("bioprune.app")

_MARK = Html(
    '<svg viewBox="0 0 24 24" aria-hidden="true">'
    '<rect x="2" y="13" width="4" height="9" rx="1" fill="#8b9095"/>'
    '<rect x="7.5" y="8" width="4" height="14" rx="1" fill="var(--bp-accent)"/>'
    '<rect x="13" y="2" width="4" height="20" rx="1" fill="var(--bp-accent)"/>'
    '<rect x="18.5" y="10" width="4" height="12" rx="1" fill="#8b9095"/></svg>'
)
_NO_PROJECT = "no-project"


def _sidebar() -> None:
    st.html(f'<div class="bp-brand">{_MARK}<span>BioPrune</span></div>')
    projects = workspace().projects()
    if projects:
        names = {project.id: project.name for project in projects}
        here = current_project()
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
        for name, page in pages().items():
            link(name, page.title, icon=page.icon)


def main() -> None:
    """Draw one run of the application."""
    st.set_page_config(page_title="BioPrune", layout="wide", initial_sidebar_state=232)
    install_style()
    chosen = st.navigation(list(pages().values()), position="hidden")
    try:
        with st.sidebar:
            _sidebar()
        chosen.run()
    except NotFoundError as error:
        show_error(error)
        if place().project is not None:
            link(PageName.PROJECTS, "Go to the projects", project=None)
    except BioPruneError as error:
        _LOG.warning("%s (%s)", error.message, error.detail, exc_info=error)
        show_error(error)


if __name__ == "__main__":
    main()
