"""Coresets and scores leave by the command line in the format that the file's name says, and come back."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from workspace_samples import SEQUENCES

from bioprune_core.cli import main
from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import Coreset, Workspace, export_manifest, methods_paragraph

Command = Callable[..., tuple[int, Any]]


@pytest.fixture
def coreset(sample: Workspace) -> Coreset:
    return sample.create_coreset(sample.runs()[0], "small", SelectionConfig(prune_rate=80, hardest_cut=5))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("out.fasta.gz", lambda path: gzip.decompress(path.read_bytes()).count(b">")),
        ("out.FA", lambda path: path.read_bytes().count(b">")),
        ("out.csv", lambda path: pyarrow.csv.read_csv(path).num_rows),
        ("out.parquet", lambda path: pq.read_table(path).num_rows),
        ("out.txt", lambda path: path.read_bytes().count(b"\nseq") + 1),
    ],
)
def test_a_coreset_is_written_as_its_file_is_named(
    bioprune: Command, coreset: Coreset, tmp_path: Path, name: str, count: Callable[[Path], int]
) -> None:
    code, exported = bioprune("export", "small", "--output", tmp_path / name)
    assert code == 0
    assert count(tmp_path / name) == exported["sequences"] == SEQUENCES // 5


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "out.fasta.gz",
            ("--format", "fasta"),
            "--format is fasta. Leave --format out, or end the name in .fa",
        ),
        ("out.csv", ("--format", "ids"), "or end the name in .txt"),
        ("out.csv.gz", ("--format", "csv"), "End the name in .fasta.gz, or leave .gz off"),
        ("out.fasta.zst", (), "leave .zst off"),
        ("out.docx", (), "End it in one of .fasta, .fasta.gz, .csv, .parquet, .txt, or give --format"),
    ],
)
def test_a_name_that_says_another_format_is_refused(
    bioprune: Command, coreset: Coreset, tmp_path: Path, name: str, options: tuple[str, ...], said: str
) -> None:
    code, error = bioprune("export", "small", "--output", tmp_path / name, *options)
    assert code == 2
    assert said in error["error"]
    assert not (tmp_path / name).exists()


def test_a_name_that_says_nothing_is_written_as_asked(
    bioprune: Command, coreset: Coreset, tmp_path: Path
) -> None:
    assert bioprune("export", "small", "--output", tmp_path / "members", "--format", "ids")[0] == 0
    assert (tmp_path / "members").read_text().count("seq") == SEQUENCES // 5


def test_scores_are_written_as_their_file_is_named(
    bioprune: Command, sample: Workspace, tmp_path: Path
) -> None:
    run = sample.runs()[0].id
    assert bioprune("scores", run, "--output", tmp_path / "scores.csv")[0] == 0
    assert pyarrow.csv.read_csv(tmp_path / "scores.csv").num_rows == SEQUENCES
    code, error = bioprune("scores", run, "--output", tmp_path / "scores.fasta")
    assert code == 2
    assert "End it in .parquet or .csv" in error["error"]


@pytest.mark.parametrize(
    ("command", "name", "existing"),
    [
        ("export", "out.fasta", "out.fasta"),
        ("export", "out.fasta", "out.fasta.manifest.json"),
        ("export", "out.fasta", "out.fasta.methods.txt"),
        ("scores", "out.csv", "out.csv"),
    ],
)
def test_a_file_that_exists_is_replaced_only_by_force(
    bioprune: Command,
    sample: Workspace,
    coreset: Coreset,
    tmp_path: Path,
    command: str,
    name: str,
    existing: str,
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / existing).write_text("precious\n")
    what = coreset.id if command == "export" else sample.runs()[0].id
    code, error = bioprune(command, what, "--output", folder / name)
    assert (code, error["kind"]) == (4, "ConflictError")
    assert f"{folder / existing} exists. Give --output another name, or --force" in error["error"]
    assert [path.name for path in folder.iterdir()] == [existing], "nothing else is written"
    assert (folder / existing).read_text() == "precious\n"

    assert bioprune(command, what, "--output", folder / name, "--force")[0] == 0
    assert bioprune(command, what, "--output", folder / f"new-{name}")[0] == 0
    assert (folder / existing).read_bytes() == (folder / f"new-{existing}").read_bytes()


def test_standard_output_is_no_file_that_could_exist(
    sample: Workspace,
    coreset: Coreset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_text("precious\n")
    monkeypatch.setattr("sys.argv", ["bioprune", "export", "small", "--output", "-"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 0
    assert capsys.readouterr().out.count(">") == SEQUENCES // 5
    assert (tmp_path / "-").read_text() == "precious\n"


def test_beside_an_export_lies_what_it_is_made_again_from(
    bioprune: Command, sample: Workspace, coreset: Coreset, tmp_path: Path
) -> None:
    code, exported = bioprune("export", "small", "--output", tmp_path / "out.fasta")
    assert code == 0
    assert Path(exported["manifest"]).read_bytes() == export_manifest(sample, coreset)
    assert Path(exported["methods"]).read_text() == methods_paragraph(sample, coreset) + "\n"
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out.fasta",
        "out.fasta.manifest.json",
        "out.fasta.methods.txt",
    ]
    members = sample.directory(coreset) / "members.parquet"
    shutil.copy(members, tmp_path / "kept.parquet")
    sample.delete(coreset)
    code, again = bioprune("recreate", exported["manifest"])
    assert (code, again["coreset"]) == (0, "small")
    members = sample.directory(sample.coreset(again["id"])) / "members.parquet"
    assert members.read_bytes() == (tmp_path / "kept.parquet").read_bytes()


def test_a_coreset_is_made_again_under_another_name_beside_the_first(
    bioprune: Command, sample: Workspace, coreset: Coreset
) -> None:
    manifest = sample.directory(coreset) / "manifest.json"
    code, error = bioprune("recreate", manifest)
    assert (code, "Give it a name: --name" in error["error"]) == (2, True)
    assert bioprune("recreate", manifest, "--name", "small")[0] == 4
    assert bioprune("recreate", manifest, "--name", "again", "--project", "Sample")[0] == 0
    assert {each.name for each in sample.coresets()} == {"small", "again"}


def test_a_file_that_is_no_manifest_is_named_as_what_it_is(
    bioprune: Command, sample: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "out.fasta").write_text(">a\nACGU\n")
    (tmp_path / "run.json").write_text(json.dumps({"kind": "run"}))
    for name, ended, said in (
        ("out.fasta", 2, "not JSON"),
        ("run.json", 2, "manifest of a run"),
        ("none", 3, "does not exist"),
    ):
        code, error = bioprune("recreate", tmp_path / name)
        assert code == ended
        assert said in error["error"]
