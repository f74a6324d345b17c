"""Where a person is: the workspace, and what the address names: a project and one of its things.

The address is the state. A page reads it with `place()`, changes it with `set_place(...)` (same page) or
`navigation.go(...)` (other page), and holds nothing that matters in the session.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import streamlit as st

from app.import_folders import ImportFolders, import_folders
from app.services import jobs, settings, workspace
from bioprune_core.errors import NotFoundError
from bioprune_core.workspace import Coreset, Dataset, Experiment, Model, Project, Run

__all__ = [
    "Place",
    "confirm_address",
    "current_coreset",
    "current_dataset",
    "current_experiment",
    "current_model",
    "current_project",
    "current_run",
    "importable",
    "jobs",
    "place",
    "set_place",
    "settings",
    "workspace",
]

_CONFIRMED = "confirmed-place"
_ONLY_PROJECT = "only-project"
_NAMES = ("project", "dataset", "run", "coreset", "model", "experiment")


@dataclass(frozen=True, slots=True)
class Place:
    """The part of the address that every page shares; each field is an id, None when not in the address."""

    project: str | None = None
    dataset: str | None = None
    run: str | None = None
    coreset: str | None = None
    model: str | None = None
    experiment: str | None = None

    def parameters(self) -> dict[str, str]:
        """The fields that are set, as query parameters."""
        return {name: value for name in _NAMES if (value := getattr(self, name)) is not None}

    def within(self, **changes: str | None) -> "Place":
        """This place with some fields changed; another project drops what belonged to the old one."""
        if changes.get("project", self.project) != self.project:
            return replace(Place(), **changes)
        return replace(self, **changes)


def place() -> Place:
    """The place that the address names; where it names no project and there is but one, that one."""
    named = Place(**{name: st.query_params.get(name) for name in _NAMES})
    return named if named.project else replace(named, project=st.session_state.get(_ONLY_PROJECT))


def set_place(**changes: str | None) -> None:
    """Change the address of this page; None removes a field. The page runs again by itself only on a
    widget's callback; elsewhere follow with `st.rerun()`."""
    parameters = place().within(**changes).parameters()
    for name in _NAMES:
        if name in parameters:
            st.query_params[name] = parameters[name]
        elif name in st.query_params:
            del st.query_params[name]


def confirm_address() -> None:
    """Find the place and have the browser show it; the shell calls it at the start of a run.

    A link to the page one is on already changes the parameters of the run, but Streamlit leaves the
    address as it was: a reload or a shared link would lead elsewhere, and Back would skip a step.
    """
    projects = workspace().projects()
    st.session_state[_ONLY_PROJECT] = projects[0].id if len(projects) == 1 else None
    here = place()
    before = st.session_state.get(_CONFIRMED)
    st.session_state[_CONFIRMED] = here
    named = st.query_params.get("project")
    if before is not None and before != here and named is not None:
        # Setting any parameter sends all of them; the browser adds a step only if they differ.
        st.query_params["project"] = named


def importable() -> ImportFolders:
    """From which folders of the server this person may take files."""
    return import_folders(settings().import_roots, settings().hosts, st.context.headers)


def current_project() -> Project | None:
    """The project in the address, or None when the address names none.

    Raises:
        NotFoundError: The address names a project that does not exist.
    """
    name = place().project
    return None if name is None else workspace().project(name)


def current_dataset(project: Project) -> Dataset | None:
    """The dataset in the address, or None; must belong to `project`."""
    name = place().dataset
    return None if name is None else _of_project(workspace().dataset(name), project, "dataset")


def current_run(project: Project) -> Run | None:
    """The run in the address, or None; must belong to `project`."""
    name = place().run
    return None if name is None else _of_project(workspace().run(name), project, "run")


def current_coreset(project: Project) -> Coreset | None:
    """The coreset in the address, or None; must belong to `project`."""
    name = place().coreset
    return None if name is None else _of_project(workspace().coreset(name), project, "coreset")


def current_model(project: Project) -> Model | None:
    """The model in the address, or None; must belong to `project`."""
    name = place().model
    return None if name is None else _of_project(workspace().model(name), project, "model")


def current_experiment(project: Project) -> Experiment | None:
    """The experiment in the address, or None; must belong to `project`."""
    name = place().experiment
    return None if name is None else _of_project(workspace().experiment(name), project, "experiment")


_Row = TypeVar("_Row", Dataset, Run, Coreset, Model, Experiment)


def _of_project(row: _Row, project: Project, kind: str) -> _Row:
    if row.project_id != project.id:
        raise NotFoundError(f"The {kind} {row.id} does not belong to the project {project.name}.")
    return row
