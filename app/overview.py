"""All projects at a glance: how much each holds, what was done last, and what comes next."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from app.components import Html, state_html
from app.navigation import PageName, available
from app.services import workspace
from app.whole import known_of, manifest_of
from bioprune_core.workspace import Coreset, Dataset, Experiment, Model, Project, Run, State

__all__ = ["Overview", "RecentWork", "overview", "recent_work"]

_Thing: TypeAlias = Dataset | Model | Run | Coreset | Experiment


@dataclass(frozen=True, slots=True)
class Overview:
    """What the catalogue says of all projects.

    Args:
        projects: Number of projects.
        things: Everything that belongs to a project, oldest first within each kind.
    """

    projects: int
    things: tuple[_Thing, ...]

    def number(self, kind: type[_Thing]) -> int:
        """How many of a kind there are."""
        return sum(isinstance(thing, kind) for thing in self.things)

    def counts(self, project: Project) -> tuple[int, int, int, int, int]:
        """Datasets, models, runs, coresets and experiments of a project."""
        kinds = Counter(type(thing) for thing in self.things if thing.project_id == project.id)
        return kinds[Dataset], kinds[Model], kinds[Run], kinds[Coreset], kinds[Experiment]

    def is_empty(self, project: Project) -> bool:
        """Whether a project holds nothing, or only entries of models from elsewhere."""
        return all(
            isinstance(thing, Model) and thing.reference is not None
            for thing in self.things
            if thing.project_id == project.id
        )

    def last_work(self, project: Project) -> str:
        """When something was last made in a project, ISO 8601; its own time when it is empty."""
        times = (thing.created for thing in self.things if thing.project_id == project.id)
        return max(times, default=project.created)

    def next_page(self, project: Project) -> PageName:
        """Where the work of a project goes on: data first, then scores, then looking at them."""
        datasets, _, runs, *_ = self.counts(project)
        wanted = PageName.EXPLORE if runs else PageName.SCORE if datasets else PageName.DATA
        return wanted if wanted in available() else PageName.PROJECTS


@dataclass(frozen=True, slots=True)
class RecentWork:
    """One thing that was made.

    Args:
        kind: "dataset", "model", "run", "coreset" or "experiment".
        id: Its id.
        name: Its name.
        project: Its project.
        state: Its state as it is shown; None where it is not whole.
        made: When, ISO 8601.
    """

    kind: str
    id: str
    name: str
    project: Project
    state: Html | None
    made: str


def overview() -> Overview:
    """Read the catalogue."""
    place = workspace()
    things: Iterable[_Thing] = [
        *place.datasets(),
        *place.models(),
        *place.runs(),
        *place.coresets(),
        *place.experiments(),
    ]
    return Overview(len(place.projects()), tuple(things))


def recent_work(known: Overview, limit: int) -> list[RecentWork]:
    """What was made last, the newest first."""
    place = workspace()
    projects = {project.id: project for project in place.projects()}
    newest = sorted(known.things, key=lambda thing: (thing.created, thing.id), reverse=True)[:limit]
    return [
        RecentWork(
            type(thing).__name__.lower(),
            thing.id,
            thing.name,
            projects[thing.project_id],
            _state(thing),
            thing.created,
        )
        for thing in newest
    ]


def _state(thing: _Thing) -> Html | None:
    """Its state as it is shown; None where it is not whole."""
    if isinstance(thing, Experiment):
        # Imported late: what reads plans takes a second to load.
        from app.experiment_state import progress, readable_config

        return None if readable_config(thing) is None else progress(thing)[0]
    if isinstance(thing, Coreset):
        return None if manifest_of(thing) is None else state_html(State.DONE)
    known = known_of(thing)
    return None if known is None else state_html(known.state)
