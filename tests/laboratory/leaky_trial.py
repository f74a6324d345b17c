"""A pool of 60 sequences and two tasks, of which one has leaks, and experiments prepared over them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workspace_samples import open_workspace, random_sequences

from bioprune_core.experiments import ExperimentConfig
from bioprune_core.jobs import JobKind, run_in_foreground
from bioprune_core.laboratory import Prepared, prepare
from bioprune_core.workspace import Workspace

SEQUENCES = random_sequences(60)


def leaky_workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = open_workspace(tmp_path / "workspace")
    (tmp_path / "pool.fa").write_text("".join(f">s{n}\n{rna}\n" for n, rna in enumerate(SEQUENCES)))
    dataset = made.create_dataset(
        made.create_project("lab"), "pool", [tmp_path / "pool.fa"], {"alphabet": "rna"}
    )
    run_in_foreground(made, JobKind.INGEST, dataset.id)
    # Two training examples are test examples with a letter more; "clean" has none such.
    splits = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    rows = {"clean": SEQUENCES[:20], "leaky": [f"{rna}A" for rna in SEQUENCES[16:18]] + SEQUENCES[2:20]}
    for name, sequences in rows.items():
        lines = [
            f"{rna},{rna.count('G') / len(rna):.1f},{split}"
            for rna, split in zip(sequences, splits, strict=True)
        ]
        (tmp_path / f"{name}.csv").write_text("sequence,label,split\n" + "\n".join(lines) + "\n")
    yield made
    made.close()


def configured(**changes: Any) -> ExperimentConfig:
    settings: dict[str, Any] = {
        "name": "trial",
        "project": "lab",
        "dataset": "pool",
        "sizes": [4],
        "seeds": [0],
        "tasks": [{"name": name, "folder": f"{name}.csv"} for name in ("clean", "leaky")],
        "pretraining": {"architecture": "rna-fm", "scale": "tiny", "budget": "equal-steps", "amount": 3},
    }
    return ExperimentConfig.from_json(settings | changes)


def prepared(workspace: Workspace, **changes: Any) -> Prepared:
    return prepare(workspace, configured(**changes), workspace.root.parent)


def own(**settings: Any) -> dict[str, Any]:
    return {"tasks": [{"name": "clean", "folder": "clean.csv", **settings}]}
