"""Deleting things: never what something else was made from, and never half a directory in sight."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from bioprune_core.claims import claimed
from bioprune_core.errors import ConflictError, DiskFullError
from bioprune_core.storage import RUBBISH, read_json, remove_directory, remove_rubbish, set_aside
from bioprune_core.workspace.catalogue import Catalogue
from bioprune_core.workspace.configuration import CONFIG_FILE, ExperimentPlan
from bioprune_core.workspace.layout import Layout
from bioprune_core.workspace.locks import JOB_LOCK, is_held
from bioprune_core.workspace.names import name_key
from bioprune_core.workspace.records import Coreset, Dataset, Experiment, Model, Project, Record, Run

__all__ = ["delete_record", "dependants", "finish_deletions", "needed_by"]

_ABANDONED_S = 86_400.0
_NAMED = 5
"""Of the things that need another, how many are named."""


def dependants(catalogue: Catalogue, layout: Layout, record: Record) -> list[Record]:
    """What was made from a thing and would lose its origin with it, or is still to be made from it."""
    match record:
        case Project():
            place = {"project_id": record.id}
            return [
                *catalogue.select(Experiment, **place),
                *catalogue.select(Coreset, **place),
                *catalogue.select(Run, **place),
                *(model for model in catalogue.select(Model, **place) if model.reference is None),
                *catalogue.select(Dataset, **place),
            ]
        case Dataset():
            return [
                *catalogue.select(Run, dataset_id=record.id),
                *catalogue.select(Model, dataset_id=record.id),
                *catalogue.select(Experiment, dataset_id=record.id),
            ]
        case Model():
            return [*catalogue.select(Run, model_id=record.id)]
        case Run():
            return [
                *catalogue.select(Coreset, run_id=record.id),
                *catalogue.select(Experiment, run_id=record.id),
            ]
        case Experiment():
            return []
        case Coreset():
            place = {"project_id": record.project_id}
            return [
                *(each for each in catalogue.select(Model, **place) if _is_of(each, layout, record)),
                *(each for each in catalogue.select(Experiment, **place) if _uses(each, layout, record)),
            ]


def _is_of(model: Model, layout: Layout, coreset: Coreset) -> bool:
    """Whether a model is, or will be, trained on a coreset: its configuration says so, not the catalogue."""
    config = layout.model(model.id) / CONFIG_FILE
    # A model from elsewhere has no configuration.
    return config.is_file() and read_json(config).get("coreset_id") == coreset.id


def _uses(experiment: Experiment, layout: Layout, coreset: Coreset) -> bool:
    """Whether an arm of an experiment is a coreset: by its id, or by its name where no id was noted."""
    config = layout.experiment(experiment.id) / CONFIG_FILE
    if not config.is_file():
        return False  # Its deletion was broken off.
    plan = ExperimentPlan.from_json(read_json(config))
    return any(
        plan.coresets.get(name, name) == coreset.id
        or (name not in plan.coresets and name_key(name) == name_key(coreset.name))
        for name in plan.named_coresets
    )


def needed_by(catalogue: Catalogue, layout: Layout, record: Record) -> str:
    """The end of a sentence: what was made from a thing, and to delete that first; empty where nothing was.

    Raises:
        StorageError: A configuration that tells cannot be read.
    """
    found = dependants(catalogue, layout, record)
    if not found:
        return ""
    shown = ", ".join(f'{type(one).__name__.lower()} "{one.name}"' for one in found[:_NAMED])
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"needed by {shown}{more}. Delete {'that' if len(found) == 1 else 'those'} first."


def delete_record(catalogue: Catalogue, layout: Layout, record: Record) -> None:
    """Delete a thing's row and files; with a project its uploads and the entries of models from elsewhere.

    Raises:
        ConflictError: Something was made from it, or a process works on it or receives a file for it.
        StorageError: The files cannot be removed.
    """
    what = type(record).__name__.lower()
    if needed := needed_by(catalogue, layout, record):
        raise ConflictError(f'The {what} "{record.name}" cannot be deleted, because it is {needed}')
    if isinstance(record, Project):
        # The row last: where this is broken off, the project is there to be deleted again.
        for upload in _uploads(layout, record):
            _remove_upload(upload, record)
        # Entries of models from elsewhere: nothing of theirs is kept here.
        for model in catalogue.select(Model, project_id=record.id):
            catalogue.remove(model)
        catalogue.remove(record)
        return
    place = {
        Dataset: layout.dataset,
        Model: layout.model,
        Run: layout.run,
        Coreset: layout.coreset,
        Experiment: layout.experiment,
    }
    directory = place[type(record)](record.id)
    if is_held(directory / JOB_LOCK):
        raise ConflictError(f'The {what} "{record.name}" is being computed. Cancel its job first.')
    _remove(catalogue, layout, record, directory)


def _remove(catalogue: Catalogue, layout: Layout, record: Record, directory: Path) -> None:
    """Remove a thing's files and row. Broken off between them, the row is there to be deleted again."""
    # A row without files is what such a deletion left.
    rubbish = set_aside(directory) if directory.exists() else None
    try:
        catalogue.remove(record)
    except BaseException as error:
        # The files may be what fills the disk, and nothing was made from them while no row can be written.
        if rubbish and isinstance(error, DiskFullError) and not dependants(catalogue, layout, record):
            remove_rubbish(rubbish)
            catalogue.remove(record)
            return
        if rubbish:
            rubbish.rename(directory)
        raise
    if rubbish:
        remove_rubbish(rubbish)


def _uploads(layout: Layout, project: Project) -> list[Path]:
    """The folders of a project's uploads, complete or not."""
    return [
        description.parent
        for description in layout.uploads.glob("upload-*/upload.json")
        if read_json(description)["project"] == project.id
    ]


def _remove_upload(folder: Path, project: Project) -> None:
    # Whoever receives a part of the file holds this lock, and would make the folder again.
    with claimed(folder / "lock") as free:
        if not free:
            name = read_json(folder / "upload.json")["name"]
            raise ConflictError(
                f'{name} is being uploaded to the project "{project.name}". Wait for it, or discard it first.'
            )
        remove_directory(folder)


def finish_deletions(layout: Layout, abandoned_s: float = _ABANDONED_S) -> None:
    """Remove what deletions that were broken off left.

    Folders of coresets without a row stay: where a worker was started with another catalogue, all would be.

    Args:
        layout: The workspace's folders.
        abandoned_s: Seconds after which no process is still removing the files.
    """
    for rubbish in layout.root.glob(f"*/{RUBBISH}*"):
        # Another worker that begins may be quicker.
        with suppress(FileNotFoundError):
            if time.time() - rubbish.stat().st_ctime >= abandoned_s:
                # What cannot be removed keeps no worker from starting; it is tried again by the next.
                shutil.rmtree(rubbish, ignore_errors=True)
