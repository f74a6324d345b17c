"""Projects: make one, open one, see what is running and what was done last."""

from html import escape
from typing import NoReturn

import streamlit as st

from app.components import (
    KeyFigure,
    empty_state,
    field_error,
    key_figures,
    list_figure,
    list_head,
    page_header,
)
from app.context import jobs, place, workspace
from app.formatting import time_html
from app.job_views import job_card, run_page_again, worker_hint
from app.navigation import PageName, available, go, link
from app.overview import Overview, RecentWork, overview, recent_work
from app.record_editor import edit_popover
from app.whole import NOT_WHOLE
from bioprune_core.errors import BioPruneError
from bioprune_core.jobs import JobStatus
from bioprune_core.workspace import Coreset, Dataset, Experiment, Model, Project, Run

_COLUMNS = {
    "Name": 4.0,
    "Datasets": 1.2,
    "Models": 1.2,
    "Runs": 1.2,
    "Coresets": 1.2,
    "Experiments": 1.2,
    "Last work": 2.0,
    "": 1.0,
}
_COUNTED = ("Datasets", "Models", "Runs", "Coresets", "Experiments")
_RECENT = {"Name": 4.0, "What": 1.4, "Project": 3.4, "State": 2.0, "Made": 2.0}
_ASKING = "ask-for-project"
_PAGES = {
    "dataset": PageName.DATA,
    "model": PageName.PRETRAIN,
    "run": PageName.EXPLORE,
    "coreset": PageName.CORESETS,
    "experiment": PageName.EVALUATE,
}


def render() -> None:
    """Draw the page."""
    projects = workspace().projects()
    asking = st.session_state.pop(_ASKING, False)
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
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(width="content"):
                page_header("Projects")
            st.button("New project", type="primary", on_click=_ask_for_name, key="new-project")
        known = overview()
        _figures(known)
        _list(sorted(projects, key=lambda project: known.last_work(project), reverse=True), known)
        _running(projects, live=not asking)
        _recent(recent_work(known, limit=8), known)
    if asking:
        _new_project()


def _ask_for_name() -> None:
    st.session_state[_ASKING] = True


@st.dialog("New project", on_dismiss="rerun")
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
            KeyFigure("Experiments", f"{known.number(Experiment):,}"),
        ]
    )


def _list(projects: list[Project], known: Overview) -> None:
    with st.container(key="list-projects", gap=None):
        list_head(_COLUMNS, _COUNTED)
        for project in projects:
            with st.container(key=f"row-{project.id}"):
                _row(project, known)


def _row(project: Project, known: Overview) -> None:
    cells = st.columns(list(_COLUMNS.values()), vertical_alignment="center")
    with cells[0]:
        link(known.next_page(project), project.name, project=project.id)
    for cell, number in zip(cells[1:6], known.counts(project), strict=True):
        cell.html(list_figure(f"{number:,}"))
    cells[6].html(time_html(known.last_work(project)))
    edit_popover(
        project,
        deleted=lambda: _leave(project),
        place=cells[7],
        quiet=True,
        blocked=""
        if known.is_empty(project)
        else "Only a project without datasets, trained models, runs and coresets can be deleted.",
    )


def _leave(project: Project) -> NoReturn:
    """Draw the page anew without a deleted project."""
    if place().project == project.id:
        st.query_params.clear()
    st.rerun()


def _running(projects: list[Project], *, live: bool) -> None:
    """The jobs at work, kept up to date where `live`.

    Not while a name is asked for: a change of the jobs would close that dialog, and a look at them that the
    browser asks for while the new project is opened would come to the next page and leave it empty.
    """
    active = _active_jobs()
    if not active:
        return
    names = {project.id: project.name for project in projects}
    st.header("Running now", anchor=False)
    worker_hint(jobs().workers())
    if live:
        _follow(names, {job.id for job in active})
    else:
        _cards(active, names)


@st.fragment(run_every=2.0)
def _follow(names: dict[str, str], known: set[str]) -> None:
    active = _active_jobs()
    if {job.id for job in active} != known:
        run_page_again()
    _cards(active, names)


def _cards(active: list[JobStatus], names: dict[str, str]) -> None:
    for job in active:
        job_card(job, names.get(job.project_id or "", ""))


def _active_jobs() -> list[JobStatus]:
    return jobs().list(limit=0)


def _recent(works: list[RecentWork], known: Overview) -> None:
    if not works:
        return
    st.header("Recent work", anchor=False)
    elsewhere = {each.id for each in known.things if isinstance(each, Model) and each.reference is not None}
    with st.container(key="list-recent", gap=None):
        list_head(_RECENT)
        for work in works:
            with st.container(key=f"row-{work.id}"):
                _recent_row(work, work.id in elsewhere)


def _recent_row(work: RecentWork, is_elsewhere: bool) -> None:
    """A row; a model from elsewhere has no page of its own, so that it leads to where it is used."""
    cells = st.columns(list(_RECENT.values()), vertical_alignment="center")
    target = PageName.SCORE if is_elsewhere else _PAGES[work.kind]
    with cells[0]:
        if target in available():
            place = {} if is_elsewhere else {work.kind: work.id}
            link(target, work.name, project=work.project.id, **place)
        else:
            st.text(work.name)
    cells[1].html(work.kind)
    cells[2].html(escape(work.project.name))
    if work.state is None:
        cells[3].text(NOT_WHOLE)
    else:
        cells[3].html(work.state)
    cells[4].html(time_html(work.made))


if __name__ == "__main__":
    render()
