"""Opening a workspace, and what it makes, finds again and refuses."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from workspace_samples import open_workspace, sample_project

from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.settings import Settings
from bioprune_core.storage import write_json
from bioprune_core.workspace import EventKind, EventLog, Run, RunConfig, State, Workspace
from bioprune_core.workspace.model_files import model_files, note_model_files


def test_importing_the_workspace_does_not_import_torch() -> None:
    script = (
        "import sys, bioprune_core.workspace; sys.exit('torch' in sys.modules or 'streamlit' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_opening_makes_a_workspace_only_where_it_may(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    with pytest.raises(NotFoundError, match="There is no workspace in"):
        Workspace.open(folder, Settings(workspace=folder, database_url=None), make=False)
    elsewhere = Settings(workspace=folder, database_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    with pytest.raises(NotFoundError, match="There is no workspace in"):
        Workspace.open(folder, elsewhere, make=False)
    assert not list(tmp_path.iterdir())
    Workspace.open(folder, elsewhere).close()
    Workspace.open(folder, elsewhere, make=False).close()


def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    first = open_workspace(tmp_path / "workspace")
    made = sample_project(first, tmp_path / "sample.fa")
    first.close()
    second = open_workspace(tmp_path / "workspace")
    assert (second.project("Sample"), second.dataset("pool"), second.model("tiny")) == made[:3]
    assert second.runs("Sample") == [made[3]]
    assert second.run(made[3].id).name == "pool by tiny"


def test_many_writers_at_once_all_get_through(tmp_path: Path) -> None:
    def write(number: int) -> None:
        opened = open_workspace(tmp_path / "workspace")
        opened.create_project(f"project {number}")
        opened.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    assert len(open_workspace(tmp_path / "workspace").projects()) == 24


def test_states_follow_files_and_named_models_are_done(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "sample.fa"
    source.write_text(">a\nACGU\n")
    project = workspace.create_project("p")
    dataset = workspace.create_dataset(project, "d", [source])
    assert workspace.state(dataset) is State.NEW
    EventLog(workspace.directory(dataset)).write(EventKind.FAILED, "ingest", "It is empty.")
    assert workspace.state(dataset) is State.FAILED
    assert workspace.state(workspace.add_model(project, "m", "esm2")) is State.DONE


def test_a_missing_or_misnamed_file_is_refused_before_anything_is_made(
    workspace: Workspace, tmp_path: Path
) -> None:
    project = workspace.create_project("p")
    with pytest.raises(InputError, match="does not exist"):
        workspace.create_dataset(project, "d", [tmp_path / "absent.fa"])
    with pytest.raises(InputError, match="at least one file"):
        workspace.create_dataset(project, "d", [])
    misnamed = tmp_path / os.fsdecode(b"caf\xe9.fa")
    misnamed.write_text(">a\nACGU\n")
    with pytest.raises(InputError, match=r"caf\\udce9.fa' is not UTF-8 .* give the folder that holds it"):
        workspace.create_dataset(project, "d", [misnamed])
    assert workspace.datasets() == []


def test_a_taken_name_leaves_no_folder_behind(workspace: Workspace, tmp_path: Path) -> None:
    _, dataset, _, _ = sample_project(workspace, tmp_path / "sample.fa")
    with pytest.raises(ConflictError, match="already a dataset"):
        workspace.create_dataset("Sample", "POOL", [tmp_path / "sample.fa"])
    assert [path.name for path in (workspace.root / "datasets").iterdir()] == [dataset.id]


def test_an_unfinished_dataset_cannot_be_scored(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "sample.fa"
    source.write_text(">a\nACGU\n")
    dataset = workspace.create_dataset(workspace.create_project("p"), "d", [source])
    model = workspace.add_model("p", "m", "esm2")
    with pytest.raises(ConflictError, match='"d" is not finished'):
        workspace.plan_run(dataset, model, 10)


def test_a_subset_larger_than_the_pool_is_refused_with_the_bound(
    workspace: Workspace, tmp_path: Path
) -> None:
    _, dataset, model, _ = sample_project(workspace, tmp_path / "sample.fa")
    with pytest.raises(InputError, match=r"subset_size is 501, .* at most 500"):
        workspace.plan_run(dataset, model, 501)
    with pytest.raises(InputError, match="at least 1"):
        workspace.plan_run(dataset, model, 0)


def test_a_run_is_not_found_for_weights_that_were_written_over(workspace: Workspace, tmp_path: Path) -> None:
    project, dataset, _, _ = sample_project(workspace, tmp_path / "sample.fa")
    folder = tmp_path / "network"
    folder.mkdir()
    weights = folder / "model.safetensors"
    weights.write_bytes(b"of yesterday")
    config = workspace.plan_run(dataset, workspace.add_model(project, "theirs", str(folder)), 50)
    run = workspace.create_run(config)
    assert workspace.find_run(config) == run, "nothing has read the weights yet"
    begun = workspace.directory(run) / "adapted" / "training.json"
    begun.parent.mkdir()
    begun.write_text("{}")  # As earlier versions left it.
    os.utime(weights, (1, 1))
    (folder / "notes.txt").write_text("written later, and no weights")
    os.utime(begun, (2, 2))
    assert workspace.find_run(config) == run
    os.utime(weights, (3, 3))
    with pytest.raises(ConflictError, match=r"model\.safetensors is not what .* folder of their own"):
        workspace.find_run(config)


@pytest.fixture
def two_checkpoints(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of weights of one size, a day old, which differ."""
    folders = tmp_path / "ckpt-a", tmp_path / "ckpt-b"
    for folder in folders:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(folder.name.encode())
        (folder / "config.json").write_text("{}")
        for file in folder.iterdir():
            os.utime(file, (1, 1))
    return folders


def begun_run(workspace: Workspace, source: Path, reference: Path) -> tuple[RunConfig, Run]:
    """A run whose fine-tuning has begun with the model at a path."""
    project, dataset, _, _ = sample_project(workspace, source)
    config = workspace.plan_run(dataset, workspace.add_model(project, "theirs", str(reference)), 50)
    run = workspace.create_run(config)
    directory = workspace.directory(run)
    note_model_files(model_files(config.model_reference, directory), directory)
    write_json(directory / "adapted" / "training.json", {})
    return config, run


def test_a_run_is_not_found_by_a_link_that_leads_to_other_weights_since(
    workspace: Workspace, tmp_path: Path, two_checkpoints: tuple[Path, Path]
) -> None:
    link = tmp_path / "latest"
    link.symlink_to(two_checkpoints[0])
    config, run = begun_run(workspace, tmp_path / "sample.fa", link)
    assert workspace.find_run(config) == run
    link.unlink()
    link.symlink_to(two_checkpoints[1])
    with pytest.raises(ConflictError, match=r"latest/model\.safetensors is not what .* that it leads to"):
        workspace.find_run(config)


@pytest.mark.parametrize(
    "change",
    [
        lambda mine, other: shutil.copy2(other / "model.safetensors", mine),
        lambda mine, _: (mine / "model.safetensors").write_bytes(b"longer than before"),
        lambda mine, other: (mine / "pytorch_model.bin").symlink_to(other / "model.safetensors"),
        lambda mine, _: (mine / "config.json").unlink(),
        lambda mine, other: (shutil.rmtree(mine), other.rename(mine)),
    ],
    ids=["copied with its time", "written over", "one more", "one less", "another folder in its place"],
)
def test_a_run_is_not_found_for_other_weights_whatever_their_times_say(
    workspace: Workspace,
    tmp_path: Path,
    two_checkpoints: tuple[Path, Path],
    change: Callable[[Path, Path], object],
) -> None:
    mine, other = two_checkpoints
    config, _ = begun_run(workspace, tmp_path / "sample.fa", mine)
    change(mine, other)
    with pytest.raises(ConflictError, match="is not what the run"):
        workspace.find_run(config)


def test_a_run_is_found_as_long_as_its_weights_are_the_same(
    workspace: Workspace, tmp_path: Path, two_checkpoints: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, moved = two_checkpoints[0], tmp_path / "moved"
    (mine / "optimizer.pt").write_bytes(b"read by nobody here")
    config, run = begun_run(workspace, tmp_path / "sample.fa", mine)
    (mine / "optimizer.pt").unlink()
    with monkeypatch.context() as patched:
        patched.delattr("bioprune_core.workspace.model_files.file_digest")
        assert workspace.find_run(config) == run, "without reading what nobody touched"
    shutil.copytree(mine, moved)
    shutil.rmtree(mine)
    assert workspace.find_run(config) == run, "nothing is there to take it for"
    mine.symlink_to(moved)
    assert workspace.find_run(config) == run


def test_the_same_configuration_is_the_same_run(workspace: Workspace, tmp_path: Path) -> None:
    _, dataset, model, run = sample_project(workspace, tmp_path / "sample.fa")
    again = workspace.plan_run(dataset, model, 50)
    assert workspace.find_run(again) == run
    assert workspace.find_run(RunConfig.from_json(workspace.config(run))) == run
    other = workspace.plan_run(dataset, model, 50, subset_seed=1)
    assert workspace.find_run(other) is None
    with pytest.raises(ConflictError, match="exactly these settings"):
        workspace.create_run(again)
    assert workspace.create_run(other).name == "pool by tiny 2"


def test_a_run_gets_a_name_that_is_free_and_short_enough_whatever_its_parts_are_called(
    workspace: Workspace, tmp_path: Path
) -> None:
    _, dataset, model, _ = sample_project(workspace, tmp_path / "sample.fa")
    dataset, model = workspace.rename(dataset, "Pool"), workspace.rename(model, "TINY")
    plan = workspace.plan_run(dataset, model, 50, subset_seed=1)
    assert workspace.create_run(plan).name == "Pool by TINY 2", "pool by tiny is the same name"
    workspace.rename(dataset, "日" * 66)
    workspace.rename(model, "a" * 100)
    plan = workspace.plan_run(dataset, model, 50, subset_seed=2)
    assert workspace.create_run(plan).name == f"{'日' * 30} by {'a' * 45}"
