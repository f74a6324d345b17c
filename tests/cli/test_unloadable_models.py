"""A model from elsewhere that could not be loaded is not kept as one of the project."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioprune_core.errors import ModelError
from bioprune_core.workspace import State, Workspace

Command = Callable[..., tuple[int, Any]]

SCORE = ("score", "--project", "Sample", "--dataset", "pool", "--subset", 20)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise OSError("No network.")

    monkeypatch.setattr("bioprune_core.models.places.snapshot_download", unreachable)


@pytest.mark.usefixtures("stages_here")
@pytest.mark.parametrize("options", [(), ("--estimate",)])
def test_a_mistyped_hub_id_leaves_neither_model_nor_run(
    bioprune: Command, sample: Workspace, options: tuple[str, ...]
) -> None:
    code, error = bioprune(*SCORE, "--model", "some/mistyped-hub-id", *options)
    assert (code, "There is no folder some/mistyped-hub-id here" in error["error"]) == (3, True)
    assert [model.name for model in sample.models()] == ["tiny"]
    assert [run.name for run in sample.runs()] == ["pool by tiny"]
    assert len(list((sample.root / "runs").glob("run-*"))) == 1


@pytest.mark.usefixtures("stages_here")
def test_a_model_that_was_to_be_loaded_on_a_device_that_is_not_there_leaves_no_run_behind(
    bioprune: Command, sample: Workspace
) -> None:
    trained = ("pretrain", "--project", "Sample", "--dataset", "pool", "--name", "own", "--steps", 1)
    assert bioprune(*trained, "--token-budget", 256)[0] == 0
    folder = sample.directory(sample.model("own")) / "network"
    code, error = bioprune(*SCORE, "--model", folder, "--epochs", 0, "--device", "cuda:99")
    assert (code, "cuda:99" in error["error"]) == (2, True)
    assert {model.name for model in sample.models()} == {"tiny", "own"}
    assert [run.name for run in sample.runs()] == ["pool by tiny"]


@pytest.mark.usefixtures("stages_here")
def test_a_model_that_was_loaded_stays_with_its_run_when_a_later_stage_fails(
    bioprune: Command, sample: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unfit(*_: object, **__: object) -> None:
        raise ModelError("The head is of no known form.")

    monkeypatch.setattr("bioprune_core.jobs.score_stages.run_fisher", unfit)
    trained = ("pretrain", "--project", "Sample", "--dataset", "pool", "--name", "own", "--steps", 1)
    assert bioprune(*trained, "--token-budget", 256)[0] == 0
    folder = sample.directory(sample.model("own")) / "network"
    assert bioprune(*SCORE, "--model", folder, "--epochs", 0)[0] == 2
    assert sample.model("network").reference == str(folder)
    assert sample.state(sample.run("pool by network")) is State.FAILED


def test_a_model_from_elsewhere_is_not_exported(bioprune: Command, sample: Workspace, tmp_path: Path) -> None:
    code, error = bioprune("export-model", "tiny", "--output", tmp_path / "folder")
    assert code == 2
    assert error["error"].startswith('The model "tiny" was not trained here: it is tiny-model')
    assert not (tmp_path / "folder").exists()
