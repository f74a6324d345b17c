"""Models from elsewhere: where their weights go, and two folders of one name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioprune_core.cli import main
from bioprune_core.workspace import Workspace

Command = Callable[..., tuple[int, Any]]


def test_the_list_of_models_says_where_weights_are_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("BIOPRUNE_MODELS", str(tmp_path / "networks"))
    monkeypatch.setattr("sys.argv", ["bioprune", "models"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"into {tmp_path / 'networks'} or {tmp_path / 'workspace' / 'weights'}. BIOPRUNE_MODELS" in said


def test_the_list_of_models_stays_a_list_for_a_program(bioprune: Command) -> None:
    code, models = bioprune("models")
    assert code == 0
    assert {"rna-fm", "esm2-8m"} <= {model["name"] for model in models}


def test_two_folders_of_one_name_are_two_models(bioprune: Command, sample: Workspace, tmp_path: Path) -> None:
    command = ("score", "--project", "Sample", "--dataset", "pool", "--subset", 60, "--queue", "--model")
    for folder in ("a", "b"):
        (tmp_path / folder / "network").mkdir(parents=True)
        assert bioprune(*command, tmp_path / folder / "network")[0] == 0
    expected = {"network": tmp_path / "a" / "network", "network 2": tmp_path / "b" / "network"}
    known = {model.name: model.reference for model in sample.models()}
    assert known == {"tiny": "tiny-model"} | {name: str(path) for name, path in expected.items()}
    runs = len(sample.runs())
    for folder in ("a", "b"):
        assert bioprune(*command, tmp_path / folder / "network")[0] == 0
    assert len(sample.models()) == 3, "each is found again by its path"
    assert len(sample.runs()) == runs == 3
