"""Commands that only read make no workspace where there is none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioprune_core.workspace import Workspace

Command = Callable[..., tuple[int, Any]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("export", "coreset", "--output", "coreset.fasta"),
        ("scores", "run", "--output", "scores.csv"),
        ("export-model", "model", "--output", "folder"),
        ("experiment", "status", "experiment.toml"),
        ("experiment", "report", "experiment.toml"),
        ("jobs",),
        ("jobs", "log", "job"),
        ("jobs", "cancel", "job"),
    ],
)
def test_what_only_reads_says_that_there_is_no_workspace_and_makes_none(
    bioprune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("BIOPRUNE_WORKSPACE", "BIOPRUNE_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    code, error = bioprune(*arguments)
    assert code == 3
    assert error["error"].startswith(f"There is no workspace in {tmp_path / 'data' / 'workspace'}.")
    assert all(
        remedy in error["error"] for remedy in ("BIOPRUNE_WORKSPACE", "--workspace", "bioprune ingest")
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_with_weights_alone_is_no_workspace_yet(
    bioprune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    assert bioprune("list")[0] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_file_in_the_workspaces_place_is_said_to_be_one(
    bioprune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path / "taken"))
    code, error = bioprune("list")
    assert (code, f"{tmp_path / 'taken'}" in error["error"]) == (5, True)
    assert "bioprune ingest" not in error["error"]


def test_an_empty_workspace_is_listed(
    bioprune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path))
    Workspace.open(tmp_path).close()
    assert bioprune("list") == (0, [])
