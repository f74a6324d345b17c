"""An experiment that takes seconds: 90 short sequences, 3 steps."""

from pathlib import Path
from typing import Any

from workspace_samples import open_workspace, random_sequences

from bioprune_core.experiments import ExperimentConfig
from bioprune_core.jobs import JobKind, run_in_foreground
from bioprune_core.laboratory import CellStore
from bioprune_core.workspace import Workspace

SEQUENCES = random_sequences(90)
TRAINING = {"token_budget": 300, "learning_rate": 1e-3, "checkpoint_every_steps": 2}


def make_workspace(root: Path) -> Workspace:
    """A pool in two files and four families; beside the workspace two tables to measure on."""
    made = open_workspace(root / "workspace")
    sources = [root / "one.fa", root / "two.fa"]
    for number, path in enumerate(sources):
        records = [
            f">s{row} family{row % 4}\n{letters}\n"
            for row, letters in enumerate(SEQUENCES)
            if row % 2 == number
        ]
        path.write_text("".join(records))
    project = made.create_project("lab")
    options = {"alphabet": "rna", "label_pattern": r"(family\d)"}
    dataset = made.create_dataset(project, "pool", sources, options)
    run_in_foreground(made, JobKind.INGEST, dataset.id)
    rows = [f"{letters},{letters.count('G') / len(letters):.4f}" for letters in SEQUENCES[:40]]
    (root / "content.csv").write_text("sequence,label\n" + "\n".join(rows) + "\n")
    parts = ["train"] * 30 + ["validation"] * 5 + ["test"] * 5
    rows = [
        f"{rna},{0.5 if part == 'train' else row},{part}"
        for row, (rna, part) in enumerate(zip(SEQUENCES[:40], parts, strict=True))
    ]
    (root / "constant.csv").write_text("sequence,label,split\n" + "\n".join(rows) + "\n")
    return made


def config_of(**changes: Any) -> ExperimentConfig:
    settings: dict[str, Any] = {
        "name": "trial",
        "project": "lab",
        "dataset": "pool",
        "sizes": [4],
        "seeds": [0, 1],
        "tasks": [{"name": "content", "folder": "content.csv"}],
        "pretraining": {
            "architecture": "rna-fm",
            "scale": "tiny",
            "budget": "equal-steps",
            "amount": 3,
            "training": TRAINING,
        },
        "arms": [{"kind": "full"}],
        "held_out_share": 0.1,
        "held_out_families": ["family3"],
    }
    return ExperimentConfig.from_json(settings | changes)


def store_at(path: Path) -> CellStore:
    return CellStore(path / "cells")
