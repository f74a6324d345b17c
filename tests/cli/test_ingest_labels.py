"""`bioprune ingest` says what became of the labels it was asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioprune_core.cli import main

Command = Callable[..., tuple[int, Any]]


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages_here: None) -> None:
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path / "workspace"))


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"family=(\S+)", "Labels: {0} of {0} sequences have one, 4 different."),
        ("^(XX[0-9]+)", "Labels: 0 of {0} sequences have one, 0 different."),
    ],
)
def test_the_labels_found_are_told_as_text_and_as_json(
    bioprune: Command,
    rna_fasta: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pattern: str,
    line: str,
) -> None:
    command = ("ingest", str(rna_fasta), "--project", "lab", "--dataset", "rnas", "--label-pattern", pattern)
    code, ingested = bioprune(*command)
    labels = ingested["report"]["labels"]
    sequences = ingested["manifest"]["sequences"]
    assert code == 0
    expected = (sequences, 4) if "family" in pattern else (0, 0)
    assert (labels["sequences"], labels["different"]) == expected
    monkeypatch.setattr("sys.argv", ["bioprune", *command])
    with pytest.raises(SystemExit):
        main()
    printed = capsys.readouterr().out
    assert line.format(sequences) in printed.splitlines()
    assert ("sequences has a label: the label pattern finds none" in printed) == ("XX" in pattern)


def test_a_label_column_of_a_fasta_file_is_refused(bioprune: Command, rna_fasta: Path) -> None:
    command = ("ingest", rna_fasta, "--project", "lab", "--dataset", "rnas", "--label-column", "fam")
    code, error = bioprune(*command)
    assert code != 0
    assert "rnas.fasta (fasta) has no columns" in error["error"]
