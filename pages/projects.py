"""Projects: make one, open one, see what is running and what was done last."""

import streamlit as st

from app.components import KeyFigure, empty_state, field_error, key_figures, page_header, state_html, table
from app.context import place, workspace
from app.formatting import time_html
from app.navigation import PageName, available, go, link
from app.overview import Overview, RecentWork, overview, recent_work
from bioprune_core.errors import BioPruneError
from bioprune_core.workspace import Coreset, Dataset, Project, Run

_KINDS = {"dataset": "Dataset", "model": "Model", "run": "Run", "coreset": "Coreset"}
_COLUMNS = (4, 1.3, 1.3, 1.3, 1.3, 2, 1.2)


def render() -> None:
    """Draw the page."""
    projects = workspace().projects()
    if not projects:
        page_header("Projects")
        empty_state(
            "Start with a project",
            "A project holds sequence sets, the models that score them, and the coresets you select. "
            "Name it after the question you work on.",
            "New project",
            on_click=_ask_for_name,
        )
    else:
        with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
            with st.container(width="content"):
                page_header("Projects")
            st.button("New project", type="primary", on_click=_ask_for_name, key="new-project")
        known = overview()
        _figures(known)
        _list(sorted(projects, key=lambda project: known.last_work(project), reverse=True), known)
        _recent(recent_work(known, limit=8))
    if st.session_state.pop("ask-for-project", False):
        _new_project()


def _ask_for_name() -> None:
    st.session_state["ask-for-project"] = True


@st.dialog("New project")
def _new_project() -> None:
    with st.form("project", border=False):
        name = st.text_input("Name", max_chars=100, placeholder="For example: riboswitch pretraining")
        problem = st.empty()
        if st.form_submit_button("Create project", type="primary"):
            try:
                project = workspace().create_project(name)
            except BioPruneError as error:
                with problem:
                    field_error(error.message)
            else:
                go(PageName.DATA if PageName.DATA in available() else PageName.PROJECTS, project=project.id)


def _figures(known: Overview) -> None:
    key_figures(
        [
            KeyFigure("Projects", f"{known.projects:,}"),
            KeyFigure("Datasets", f"{known.number(Dataset):,}"),
            KeyFigure("Runs", f"{known.number(Run):,}"),
            KeyFigure("Coresets", f"{known.number(Coreset):,}"),
        ]
    )


def _list(projects: list[Project], known: Overview) -> None:
    head = st.columns(_COLUMNS, vertical_alignment="center")
    for column, title in zip(
        head, ("Name", "Datasets", "Models", "Runs", "Coresets", "Last work", ""), strict=True
    ):
        column.caption(title)
    for project in projects:
        _row(project, known)


def _row(project: Project, known: Overview) -> None:
    cells = st.columns(_COLUMNS, vertical_alignment="center")
    with cells[0]:
        link(known.next_page(project), f"**{project.name}**", project=project.id)
    for cell, number in zip(cells[1:5], known.counts(project), strict=True):
        cell.html(f'<span class="bp-figure">{number:,}</span>')
    cells[5].html(time_html(known.last_work(project)))
    with cells[6].popover("Edit", type="tertiary"):
        _edit(project, known)


def _edit(project: Project, known: Overview) -> None:
    name = st.text_input("Name", value=project.name, max_chars=100, key=f"name-{project.id}")
    try:
        if st.button("Rename", key=f"rename-{project.id}", disabled=name == project.name):
            workspace().rename(project, name)
            st.rerun()
        empty = sum(known.counts(project)) == 0
        if st.button("Delete project", key=f"delete-{project.id}", disabled=not empty):
            workspace().delete(project)
            if place().project == project.id:
                st.query_params.clear()
            st.rerun()
        if not empty:
            st.caption("Only a project without datasets, models, runs and coresets can be deleted.")
    except BioPruneError as error:
        field_error(error.message)


def _recent(works: list[RecentWork]) -> None:
    if not works:
        return
    st.header("Recent work", anchor=False)
    table(
        ["What", "Name", "Project", "State", "Made"],
        [[_KINDS[work.kind], work.name, work.project, state_html(work.state), work.made] for work in works],
    )


if __name__ == "__main__":
    render()
