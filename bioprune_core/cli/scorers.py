"""The model that a run scores with: one of the project, or one from elsewhere that is noted for it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bioprune_core.cli.execution import forgotten_on_error
from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.models.catalogue import check_model_name
from bioprune_core.workspace import Model, Project, State, Workspace
from bioprune_core.workspace.names import NAME_LIMIT, free_name

__all__ = ["usable_model"]


@contextmanager
def usable_model(workspace: Workspace, project: Project, model: str) -> Iterator[Model]:
    """The project's model of this name or id; else the registered name, path or hub id, noted as its model.

    One just noted is forgotten where nothing comes of it: the run is refused, or the model cannot be loaded.

    Raises:
        ModelError: It is none of them.
    """
    path = Path(model).expanduser()
    reference = str(path.absolute()) if path.exists() else model
    known = _known_model(workspace, project, model, reference)
    if known is not None:
        yield known
        return
    names = [each.name for each in workspace.models(project)]
    if not path.exists():
        check_model_name(model, names)
    # Two folders may have one name, and a model trained here that of a published one.
    made = workspace.add_model(project, free_name(path.name[:NAME_LIMIT], names), reference)
    with forgotten_on_error(workspace, made), _without_runs_unless_loaded(workspace, made):
        yield made


@contextmanager
def _without_runs_unless_loaded(workspace: Workspace, made: Model) -> Iterator[None]:
    """Delete the runs that keep a model from being forgotten where they ended before it was loaded.

    Where what was asked for ended them, that is: it is no model, or there is no such device.
    """
    try:
        yield
    except InputError:
        for run in workspace.runs(made.project_id):
            # Of another command's run, which may wait for a worker, nothing is known yet.
            failed = run.model_id == made.id and workspace.state(run) is State.FAILED
            # The first that is written once the model is loaded and fits.
            if failed and not (workspace.directory(run) / "adapted").exists():
                with suppress(ConflictError):
                    workspace.delete(run)
        raise


def _known_model(workspace: Workspace, project: Project, name: str, reference: str) -> Model | None:
    try:
        return workspace.model(name, project)
    except NotFoundError:
        return next((each for each in workspace.models(project) if each.reference == reference), None)
