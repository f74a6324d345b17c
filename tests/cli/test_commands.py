"""The whole path by one command after the other, as a person would type it."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bioprune_core.selection import select
from bioprune_core.sequences import IngestOptions
from bioprune_core.workspace import Workspace

Command = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(autouse=True)
def _workspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(folder))


def test_from_a_file_to_an_exported_coreset(bioprune: Command, rna_fasta: Path, tmp_path: Path) -> None:
    code, ingested = bioprune(
        "ingest", rna_fasta, "--project", "lab", "--dataset", "rnas", "--label-pattern", r"family=(\S+)"
    )
    assert code == 0
    report = ingested["report"]
    assert report["read"] == 243
    assert report["kept"] == 239
    assert sum(entry["count"] for entry in report["dropped"].values()) == 4

    pretrain = ("pretrain", "--project", "lab", "--dataset", "rnas", "--name", "small", "--steps", 6)
    assert bioprune(*pretrain)[0] == 0

    score = ("score", "--project", "lab", "--dataset", "rnas", "--model", "small", "--subset", 60)
    code, cost = bioprune(*score, "--estimate")
    assert code == 0
    assert set(cost["stages"]) >= {"fine-tune", "fisher", "score", "map"}
    assert bioprune(*score, "--estimate")[1] == cost, "what was measured once is not measured again"
    assert not [row for row in bioprune("list", "--project", "lab")[1] if row["kind"] == "run"]

    code, scored = bioprune(*score, "--name", "first")
    assert code == 0
    code, again = bioprune(*score)
    assert (code, again["id"]) == (0, scored["id"]), "the same command finds the finished run"
    assert bioprune(*score, "--name", "First")[1]["id"] == scored["id"]
    code, error = bioprune(*score, "--name", "second")
    assert (code, "Leave --name out" in error["error"]) == (4, True)

    selecting = ("select", "first", "--alpha", "80", "--beta", "5", "--strata", "8", "--name", "fifth")
    code, selected = bioprune(*selecting)
    assert code == 0
    assert selected["manifest"]["sequences"] == 48
    assert bioprune(*selecting)[1]["id"] == selected["id"], "the same command finds the saved coreset"

    fasta = tmp_path / "fifth.fasta"
    code, exported = bioprune("export", "fifth", "--format", "fasta", "--output", fasta)
    assert (code, exported["sequences"]) == (0, 48)
    assert fasta.read_text().count(">") == 48

    table = tmp_path / "scores.parquet"
    assert bioprune("scores", "first", "--output", table)[0] == 0
    scores = pq.read_table(table).to_pandas()
    assert len(scores) == 239
    # As the README does it in Python.
    chosen = select(
        scores.influence, ids=scores.hash, strategy="coverage_centric", prune_rate=80, hardest_cut=5, strata=8
    )
    assert set(scores.id[chosen]) == {
        line[1:].split()[0] for line in fasta.read_text().splitlines() if line[0] == ">"
    }

    code, rows = bioprune("list", "--project", "lab")
    assert code == 0
    assert {(row["kind"], row["state"]) for row in rows} == {
        ("dataset", "done"),
        ("model", "done"),
        ("run", "done"),
        ("coreset", "done"),
    }


def test_a_selection_that_cannot_be_names_both_rates(bioprune: Command, rna_fasta: Path) -> None:
    code, error = bioprune("select", "first", "--alpha", "2", "--beta", "50", "--name", "too-much")
    assert code == 2
    assert "2" in error["error"]
    assert "50" in error["error"]


@pytest.mark.parametrize("content", [b"", bytes(range(256))])
def test_a_file_without_sequences_exits_with_two(
    bioprune: Command, folder: Path, tmp_path: Path, content: bytes
) -> None:
    """Though its error, of a kind that one module knows alone, comes from the process of a stage."""
    path, name = tmp_path / "empty.fasta", f"empty {len(content)}"
    path.write_bytes(content)
    # Known already, it is not looked at before the stage does.
    with closing(Workspace.open(folder)) as workspace:
        workspace.create_dataset("lab", name, [path], IngestOptions().to_json())
    code, error = bioprune("ingest", path, "--project", "lab", "--dataset", name)
    assert (code, "empty.fasta" in error["error"]) == (2, True)


def test_a_name_that_does_not_exist_exits_with_three(bioprune: Command, tmp_path: Path) -> None:
    code, error = bioprune("export", "nothing", "--output", tmp_path / "out.fasta")
    assert code == 3
    assert "nothing" in error["error"]


def test_a_dataset_is_never_changed_under_its_name(bioprune: Command, rna_fasta: Path) -> None:
    code, error = bioprune(
        "ingest", rna_fasta, "--project", "lab", "--dataset", "rnas", "--ambiguous", "drop"
    )
    assert code == 4
    assert "rnas" in error["error"]


@pytest.mark.usefixtures("stages_here")
def test_files_that_changed_since_are_not_taken_for_their_dataset(bioprune: Command, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    first, second = tmp_path / "rnas.fasta", tmp_path / "more" / "rnas.fasta"  # Told apart by their folders.
    content = {first: ">a\nACGU\n", second: ">b\nGGCC\n"}
    for path, text in content.items():
        path.write_text(text)
    command = ("ingest", first, second.parent, "--project", "lab", "--dataset", "two files")
    code, ingested = bioprune(*command)
    assert (code, ingested["manifest"]["sequences"]) == (0, 2)
    for path, text in content.items():
        for changed in (text.replace("GG", "CC").replace("AC", "CA"), f"{text}AAA\n"):
            path.write_text(changed)
            code, error = bioprune(*command)
            assert code == 4
            assert f"{path} has changed" in error["error"] and "another name" in error["error"]
        path.write_text(text)
        assert bioprune(*command) == (0, ingested), "the same content again is no change"
    added = second.parent / "deeper" / "new.fasta"
    added.parent.mkdir()
    for text, code in ((">c\nGAUC\n", 4), ("Read me: these are our RNAs.\n", 0)):
        added.write_text(text)
        found, told = bioprune(*command)
        assert found == code
        assert "error" not in told or f"{added} was added" in told["error"]
    first.unlink()
    assert bioprune(*command) == (0, ingested), "a file that is gone is none that has changed"


def test_a_subset_larger_than_the_pool_is_refused_with_the_bound(bioprune: Command, rna_fasta: Path) -> None:
    code, error = bioprune(
        "score", "--project", "lab", "--dataset", "rnas", "--model", "small", "--subset", 240
    )
    assert code == 2
    assert "239" in error["error"]


@pytest.mark.usefixtures("stages_here")
def test_the_objective_and_the_parameters_are_chosen(bioprune: Command) -> None:
    code, scored = bioprune(
        *("score", "--project", "lab", "--dataset", "rnas", "--model", "small", "--subset", 60, "--seed", 4),
        *("--objective", "masked", "--masks", 2, "--parameters", "lm_head.*,*.layer.2.output.dense"),
    )
    assert code == 0
    manifest = scored["manifest"]
    influence = {
        name: manifest["influence"][name] for name in ("objective", "masks", "mask_seed", "parameters")
    }
    assert influence == {
        "objective": "masked",
        "masks": 2,
        "mask_seed": 5,
        "parameters": ["lm_head.*", "*.layer.2.output.dense"],
    }
    assert -1 <= manifest["rank_correlations"]["mask_halves"] <= 1
    shares = manifest["fisher"]["share_of_layers"]
    assert set(shares) == {
        *("esm.encoder.layer.2.output.dense.weight", "esm.encoder.layer.2.output.dense.bias"),
        *("lm_head.dense.weight", "lm_head.dense.bias", "lm_head.decoder.weight"),
    }
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--objective", "masks"), "supported: unmasked, masked, paper-code"),
        (("--masks", "4"), "the objective unmasked draws no masks"),
        (("--parameters", "all-liner"), "supported: head, all-linear"),
        (("--parameters", "encoder.*"), "match no linear layer of"),
    ],
)
@pytest.mark.usefixtures("stages_here")
def test_what_cannot_be_scored_is_refused_before_any_training(
    bioprune: Command, options: tuple[str, str], said: str
) -> None:
    code, error = bioprune(
        "score", "--project", "lab", "--dataset", "rnas", "--model", "small", "--subset", 60, *options
    )
    assert code != 0
    assert said in error["error"]


def test_a_missing_file_is_named_and_no_project_made_for_it(bioprune: Command, folder: Path) -> None:
    code, error = bioprune("ingest", "absent.fasta", "--project", "new", "--dataset", "x")
    assert code == 3
    assert "absent.fasta" in error["error"]
    with closing(Workspace.open(folder)) as workspace:
        assert "new" not in [project.name for project in workspace.projects()]


def test_a_percentage_that_is_no_number_is_refused(bioprune: Command) -> None:
    code, error = bioprune("select", "first", "--alpha", "most", "--name", "y")
    assert code == 2
    assert "'most'" in error["error"]
