"""What may be deleted, what goes with it, and a deletion that was broken off."""

from pathlib import Path

import pytest
from workspace_samples import sample_project

from bioprune_core.errors import ConflictError, DiskFullError, StorageError
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import set_aside, write_json
from bioprune_core.workspace import Experiment, Project, Run, State, Workspace
from bioprune_core.workspace.deletion import finish_deletions
from bioprune_core.workspace.locks import JOB_LOCK, hold


def test_nothing_is_deleted_that_something_depends_on(workspace: Workspace, tmp_path: Path) -> None:
    project, dataset, model, run = sample_project(workspace, tmp_path / "sample.fa")
    for record in (project, dataset, model):
        with pytest.raises(ConflictError, match=r'needed by .*run "pool by tiny"'):
            workspace.delete(record)
    for record in (run, model, dataset, project):
        workspace.delete(record)
    assert workspace.projects() == []
    assert list((workspace.root / "runs").iterdir()) == []


def test_entries_of_models_from_elsewhere_go_with_their_project(workspace: Workspace) -> None:
    project, other = workspace.create_project("Sample"), workspace.create_project("Other")
    workspace.add_model(project, "tiny", "tiny-model")
    kept = workspace.add_model(other, "tiny", "tiny-model")
    workspace.delete(project)
    assert workspace.projects() == [other]
    assert workspace.models() == [kept]


def _upload(workspace: Workspace, project: Project, name: str) -> Path:
    folder = workspace.layout.uploads / f"upload-{name}"
    write_json(folder / "upload.json", {"project": project.id, "name": f"{name}.fasta"})
    return folder


def test_uploads_go_with_their_project(workspace: Workspace) -> None:
    project, other = workspace.create_project("Sample"), workspace.create_project("Other")
    _upload(workspace, project, "rfam")
    kept = _upload(workspace, other, "other")
    workspace.delete(project)
    assert list(workspace.layout.uploads.iterdir()) == [kept]


def test_a_project_that_receives_a_file_is_not_deleted(workspace: Workspace) -> None:
    project = workspace.create_project("Sample")
    folder = _upload(workspace, project, "rfam")
    with (
        hold(folder / "lock", "upload"),
        pytest.raises(ConflictError, match=r'rfam\.fasta is being uploaded to the project "Sample"'),
    ):
        workspace.delete(project)
    assert workspace.projects() == [project] and folder.is_dir()


def test_what_a_deletion_left_is_removed_once_nobody_removes_it_any_more(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("bioprune_core.workspace.deletion.shutil.rmtree", refuse)
        with pytest.raises(StorageError, match="Permission denied"):
            workspace.delete(run)
    [left] = (workspace.root / "runs").iterdir()
    finish_deletions(workspace.layout)
    assert left.is_dir(), "another process may be removing it this moment"
    finish_deletions(workspace.layout, abandoned_s=0)
    assert list((workspace.root / "runs").iterdir()) == []
    assert workspace.datasets() and list((workspace.root / "datasets").iterdir())


def test_what_is_being_computed_is_not_deleted(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    with (
        hold(workspace.directory(run) / JOB_LOCK, "run"),
        pytest.raises(ConflictError, match="is being computed"),
    ):
        workspace.delete(run)


def test_a_deletion_broken_off_between_files_and_row_is_finished_by_deleting_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    project, dataset, _, run = sample_project(workspace, tmp_path / "sample.fa")
    coreset = workspace.create_coreset(run, "small", SelectionConfig())
    made_from = {"project_id": project.id, "dataset_id": dataset.id, "run_id": run.id}
    experiment = workspace.catalogue.add(Experiment, "compared", id="experiment-without-files", **made_from)
    for record in (coreset, run):
        set_aside(workspace.directory(record))
    assert workspace.state(run) is State.NEW
    for record in (coreset, experiment, run):
        workspace.delete(record)
    assert (workspace.experiments(), workspace.coresets(), workspace.runs()) == ([], [], [])
    finish_deletions(workspace.layout, abandoned_s=0)
    assert [list((workspace.root / kind).iterdir()) for kind in ("coresets", "runs")] == [[], []]


def test_files_stay_where_their_row_is_not_removed(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")

    def refuse(_: Run) -> None:
        raise ConflictError("Something was just made from it.")

    monkeypatch.setattr(workspace.catalogue, "remove", refuse)
    with pytest.raises(ConflictError):
        workspace.delete(run)
    assert workspace.state(run) is State.DONE
    assert [path.name for path in (workspace.root / "runs").iterdir()] == [run.id]


def test_a_full_disk_is_freed_by_deleting_though_its_catalogue_cannot_be_written_before(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    remove = workspace.catalogue.remove

    def remove_where_there_is_space(record: Run) -> None:
        if any((workspace.root / "runs").iterdir()):
            raise DiskFullError("No space left.")
        remove(record)

    monkeypatch.setattr(workspace.catalogue, "remove", remove_where_there_is_space)
    workspace.delete(run)
    assert workspace.runs() == []
