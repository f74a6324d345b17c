"""How a command gets work done: here and now with progress bars, or by a worker through the queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bioprune_core.cli.output import progress_bars
from bioprune_core.errors import NotFoundError
from bioprune_core.jobs import JobClient, JobKind, run_in_foreground
from bioprune_core.workspace import Dataset, Experiment, Model, Project, Run, State, Workspace

__all__ = ["carry_out", "open_project", "opened_workspace"]


@contextmanager
def opened_workspace() -> Iterator[Workspace]:
    """The workspace of the settings, closed at the end."""
    workspace = Workspace.open()
    try:
        yield workspace
    finally:
        workspace.close()


def open_project(workspace: Workspace, name: str) -> Project:
    """The project of this name or id, made when there is none."""
    try:
        return workspace.project(name)
    except NotFoundError:
        return workspace.create_project(name)


def carry_out(
    workspace: Workspace,
    kind: JobKind,
    record: Dataset | Model | Run | Experiment,
    *,
    queue: bool,
    quiet: bool,
) -> dict[str, Any] | None:
    """Do the work of a record unless it is done: in the foreground, or queued for a worker.

    Returns:
        The queued job, or None when the work is done.

    Raises:
        BioPruneError: The work failed; whatever was finished is kept.
    """
    if workspace.state(record) is State.DONE:
        return None
    if queue:
        client = JobClient(workspace)
        try:
            return {"job": client.enqueue(kind, record.id), "id": record.id, "kind": str(kind)}
        finally:
            client.close()
    with progress_bars(quiet) as report:
        run_in_foreground(workspace, kind, record.id, report)
    return None
