"""The pages, in the order of the work, and moving between them without losing the place."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NoReturn

import streamlit as st

from app.components import empty_state, plain
from app.context import current_project, place, workspace
from bioprune_core.workspace import Project

__all__ = ["PageName", "available", "go", "icon", "link", "page", "pages", "project_or_stop", "title"]

_FOLDER = Path(__file__).resolve().parents[1] / "pages"


class PageName(StrEnum):
    """A page; the value is its path in the address and the name of its file under pages/."""

    PROJECTS = "projects"
    DATA = "data"
    SCORE = "score"
    EXPLORE = "explore"
    SELECT = "select"
    CORESETS = "coresets"
    PRETRAIN = "pretrain"
    EVALUATE = "evaluate"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class _Entry:
    title: str
    icon: str


_ENTRIES = {
    PageName.PROJECTS: _Entry("Projects", ":material/folder_open:"),
    PageName.DATA: _Entry("Data", ":material/database:"),
    PageName.SCORE: _Entry("Score", ":material/speed:"),
    PageName.EXPLORE: _Entry("Explore", ":material/scatter_plot:"),
    PageName.SELECT: _Entry("Select", ":material/tune:"),
    PageName.CORESETS: _Entry("Coresets", ":material/filter_alt:"),
    PageName.PRETRAIN: _Entry("Pretrain", ":material/model_training:"),
    PageName.EVALUATE: _Entry("Evaluate", ":material/leaderboard:"),
    PageName.JOBS: _Entry("Jobs", ":material/list_alt:"),
}


def title(name: PageName) -> str:
    """What a page is called."""
    return _ENTRIES[name].title


def icon(name: PageName) -> str:
    """The icon of a page in the sidebar."""
    return _ENTRIES[name].icon


@cache
def available() -> tuple[PageName, ...]:
    """The pages whose file is there; a page that is not finished is absent."""
    return tuple(name for name in PageName if (_FOLDER / f"{name.value}.py").is_file())


def page(name: PageName) -> "st.Page":
    """The Streamlit page of a name; the projects are the front page.

    It gets no icon: Streamlit would fetch it from another site as the tab's picture.
    """
    entry = _ENTRIES[name]
    return st.Page(
        _FOLDER / f"{name.value}.py",
        title=entry.title,
        url_path=name.value,
        default=name is PageName.PROJECTS,
    )


def pages() -> "dict[PageName, st.Page]":
    """All pages that are there, in the order of the work."""
    return {name: page(name) for name in available()}


def go(name: PageName, **changes: str | None) -> NoReturn:
    """Open another page; `changes` alter the place (`run="run-..."`), everything else of it is kept."""
    st.switch_page(page(name), query_params=place().within(**changes).parameters())


def link(name: PageName, label: str, icon: str | None = "", **changes: str | None) -> None:
    """A link to another page at this place, altered by `changes`; its label is plain text."""
    query = place().within(**changes).parameters()
    st.page_link(page(name), label=plain(label), icon=icon, query_params=query)


def project_or_stop() -> Project:
    """The project in the address; where there is none, say what to do next and end this run."""
    project = current_project()
    if project is None:
        if workspace().projects():
            empty_state("No project is open", "Choose a project in the sidebar, or make a new one.")
        else:
            empty_state(
                "There is no project yet", "Data, runs and coresets belong to a project. Make one first."
            )
        link(PageName.PROJECTS, "Open the projects page", icon=":material/folder_open:")
        st.stop()
    return project
