import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stages_here import RunnerHere
from workspace_samples import open_workspace, sample_project

from bioprune_core.cli import main
from bioprune_core.workspace import Workspace

Command = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="session")
def rna_fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FASTA file of 240 RNAs in four families, three exact duplicates and a record without a sequence."""
    generator = random.Random(7)
    ancestors = ["".join(generator.choices("ACGU", k=length)) for length in (40, 60, 90, 120)]
    records = []
    for index in range(240):
        family = index % 4
        letters = [generator.choice("ACGU") if generator.random() < 0.15 else c for c in ancestors[family]]
        records.append(f">seq{index:03d} family=F{family}\n{''.join(letters)}\n")
    records += [records[0].replace("seq000", "again0"), records[5].replace("seq005", "again5"), ">empty\n"]
    path = tmp_path_factory.mktemp("input") / "rnas.fasta"
    path.write_text("".join(records))
    return path


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that commands find: a dataset, a model of elsewhere and a finished run."""
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path / "workspace"))
    with closing(open_workspace(tmp_path / "workspace")) as workspace:
        sample_project(workspace, tmp_path / "sample.fa")
        yield workspace


@pytest.fixture
def stages_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands compute in this process, for a test whose subject is the command's options."""
    monkeypatch.setattr("bioprune_core.jobs.foreground.StageRunner", RunnerHere)


@pytest.fixture
def bioprune(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process: exit code, and the JSON it printed (on either stream)."""

    def run(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["bioprune", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as exit:
            main()
        printed = capsys.readouterr()
        code = exit.value.code
        assert isinstance(code, int)
        return code, json.loads(printed.out if printed.out.strip() else printed.err)

    return run
