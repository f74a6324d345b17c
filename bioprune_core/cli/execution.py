"""How a command gets work done: here and now with progress bars, or by a worker through the queue."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from bioprune_core.cli.output import progress_bars
from bioprune_core.errors import BioPruneError, ConflictError, NotFoundError
from bioprune_core.jobs import JobClient, JobKind, run_in_foreground
from bioprune_core.workspace import Dataset, Experiment, Model, Project, Run, State, Workspace

__all__ = [
    "DeviceOption",
    "QueueOption",
    "carry_out",
    "forgotten_on_error",
    "opened_workspace",
    "project_for",
]

DeviceOption = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:1, ... A worker that has leased a GPU takes that one for any of them."
    ),
]
QueueOption = Annotated[bool, typer.Option("--queue", help="Leave it to a worker.")]


@contextmanager
def opened_workspace(*, make: bool = True) -> Iterator[Workspace]:
    """The workspace of the settings, closed at the end; commands that only read make none."""
    workspace = Workspace.open(make=make)
    try:
        yield workspace
    finally:
        workspace.close()


@contextmanager
def project_for(workspace: Workspace, name: str) -> Iterator[Project]:
    """The project of this name or id, made when there is none and something comes of it."""
    try:
        known = workspace.project(name)
    except NotFoundError:
        made = workspace.create_project(name)
        with forgotten_on_error(workspace, made):
            yield made
    else:
        yield known


@contextmanager
def forgotten_on_error(workspace: Workspace, made: Project | Model | Experiment) -> Iterator[None]:
    """Forget what was just noted where that which it was noted for is refused."""
    try:
        yield
    except BioPruneError:
        # Another command may have used it in the meantime; with a project entries of models would go.
        if not (isinstance(made, Project) and workspace.models(made)):
            with suppress(ConflictError):
                workspace.delete(made)
        raise


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
