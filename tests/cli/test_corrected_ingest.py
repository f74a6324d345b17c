"""An ingest that was refused or failed does not keep its corrected command from the dataset's name."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from workspace_samples import open_workspace

from bioprune_core.jobs import JobClient, JobKind
from bioprune_core.sequences import IngestOptions
from bioprune_core.workspace import Dataset, State, Workspace
from bioprune_core.workspace.locks import JOB_LOCK, hold

Command = Callable[..., tuple[int, Any]]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages_here: None) -> Iterator[Workspace]:
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path / "workspace"))
    with closing(open_workspace(tmp_path / "workspace")) as opened:
        yield opened


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.fasta"
    path.write_text(">a\nACGUACGU\n>b\nGGCCAAUU\n")
    return path


@pytest.fixture
def command(short: Path) -> tuple[object, ...]:
    return ("ingest", short, "--project", "lab", "--dataset", "rnas")


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("a.fasta", b">a\nACGU\n", ("--label-column", "fam"), "has no columns"),
        ("a.csv", b"seq,fam\nACGU,x\nGGCC,y\n", ("--label-column", "kin"), "has no column 'kin'"),
        ("a.fasta", bytes(range(256)), (), "a.fasta is a binary file"),
        ("a.fasta", b"", (), "a.fasta"),
    ],
)
def test_what_shows_at_the_beginning_of_files_is_refused_before_anything_is_made(
    bioprune: Command,
    workspace: Workspace,
    tmp_path: Path,
    name: str,
    content: bytes,
    options: Any,
    said: str,
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    code, error = bioprune("ingest", path, "--project", "lab", "--dataset", "rnas", *options)
    assert (code, said in error["error"]) == (2, True)
    assert (workspace.projects(), workspace.datasets()) == ([], [])


def test_a_failed_dataset_takes_corrected_options_and_files(
    bioprune: Command, workspace: Workspace, command: tuple[object, ...], short: Path, rna_fasta: Path
) -> None:
    assert bioprune(*command, "--minimum-length", 1_000)[0] == 2
    [failed] = workspace.datasets()
    assert workspace.state(failed) is State.FAILED
    corrected = ("ingest", short, rna_fasta, "--project", "lab", "--dataset", "rnas", "--minimum-length", 3)
    code, ingested = bioprune(*corrected)
    assert code == 0
    assert len(ingested["manifest"]["inputs"]) == 2
    assert ingested["manifest"]["options"]["minimum_length"] == 3
    assert bioprune(*corrected) == (0, ingested), "the same command finds it"
    assert bioprune(*command)[0] == 4, "a finished dataset is never changed"
    assert len(workspace.datasets()) == 1


def _failed(bioprune: Command, workspace: Workspace, command: tuple[object, ...]) -> Dataset:
    assert bioprune(*command, "--minimum-length", 1_000)[0] == 2
    return workspace.dataset("rnas", "lab")


def test_a_dataset_that_another_process_reads_now_is_left_to_it(
    bioprune: Command, workspace: Workspace, command: tuple[object, ...]
) -> None:
    dataset = _failed(bioprune, workspace, command)
    before = workspace.config(dataset)
    with hold(workspace.directory(dataset) / JOB_LOCK, "the dataset"):
        code, error = bioprune(*command)
    assert (code, "Another process works on" in error["error"]) == (4, True)
    assert workspace.config(dataset) == before


def test_a_dataset_that_a_job_is_to_read_is_left_to_it(
    bioprune: Command, workspace: Workspace, command: tuple[object, ...], short: Path
) -> None:
    project = workspace.create_project("lab")
    options = IngestOptions(minimum_length=4).to_json()
    dataset = workspace.create_dataset(project, "rnas", [short], options)
    with JobClient(workspace) as client:
        job = client.enqueue(JobKind.INGEST, dataset.id)
    code, error = bioprune(*command)
    assert (code, f"bioprune jobs cancel {job}" in error["error"]) == (4, True)
    assert workspace.config(dataset)["options"] == options
    assert bioprune("jobs", "cancel", job)[0] == 0
    assert bioprune(*command)[0] == 0


def test_a_dataset_that_something_is_to_be_made_from_keeps_its_options(
    bioprune: Command, workspace: Workspace, command: tuple[object, ...]
) -> None:
    dataset = _failed(bioprune, workspace, command)
    before = workspace.config(dataset)
    workspace.create_experiment(
        "lab", {"name": "planned", "dataset": "rnas", "sizes": [10], "arms": []}, Path.cwd()
    )
    code, error = bioprune(*command)
    assert (code, 'experiment "planned"' in error["error"]) == (4, True)
    assert workspace.config(dataset) == before
