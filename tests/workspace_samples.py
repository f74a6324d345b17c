"""Small datasets and runs written by hand in the layout of real ones."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core.hashing import sequence_hash
from bioprune_core.settings import Settings
from bioprune_core.storage import write_json
from bioprune_core.workspace import Dataset, Model, Project, Run, Workspace

SEQUENCES = 500
LABELS = ("tRNA", None, "riboswitch")


def open_workspace(root: Path) -> Workspace:
    return Workspace.open(root, Settings(workspace=root, database_url=None))


def random_sequences(count: int = SEQUENCES, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list("ACGU"), size=random.integers(20, 60))) for _ in range(count)]


def finish_dataset(
    workspace: Workspace, dataset: Dataset, sequences: list[str], part_rows: int = 200
) -> None:
    """Write what an ingest would have written: several parts with several row groups each."""
    directory = workspace.directory(dataset)
    (directory / "sequences").mkdir(parents=True)
    rows = range(len(sequences))
    table = pa.table(
        {
            "position": pa.array(rows, pa.int64()),
            "id": [f"seq{row}" for row in rows],
            "description": ["" if row % 3 else f"sample, number {row}" for row in rows],
            "label": pa.array([LABELS[row % 3] for row in rows], pa.string()),
            "source": ["sample.fa"] * len(sequences),
            "sequence": sequences,
            "length": pa.array([len(letters) for letters in sequences], pa.int32()),
            "hash": pa.array([sequence_hash(letters.encode()) for letters in sequences], pa.uint64()),
            "duplicates": pa.array([1] * len(sequences), pa.int32()),
        }
    )
    for part, start in enumerate(range(0, len(sequences), part_rows)):
        path = directory / "sequences" / f"part-{part:05d}.parquet"
        pq.write_table(table.slice(start, part_rows), path, row_group_size=64)
    write_json(
        directory / "manifest.json",
        {
            "kind": "dataset",
            "content_hash": "c0ffee" * 10,
            "alphabet": "rna",
            "sequences": len(sequences),
            "letters": sum(map(len, sequences)),
            "options": {"deduplicate": True},
            "inputs": [],
        },
    )


def finish_run(workspace: Workspace, run: Run, sequences: list[str], shard_rows: int = 128) -> None:
    """Write what a scoring would have written, with made-up scores."""
    directory = workspace.directory(run)
    (directory / "scores").mkdir(parents=True)
    count = len(sequences)
    random = np.random.default_rng(1)
    table = pa.table(
        {
            "position": pa.array(range(count), pa.int64()),
            "hash": pa.array([sequence_hash(letters.encode()) for letters in sequences], pa.uint64()),
            "influence": random.lognormal(size=count),
            "loss": pa.array(random.uniform(1, 2, size=count), pa.float32()),
            "tokens": pa.array([len(letters) + 2 for letters in sequences], pa.int32()),
            "gradient_norm": random.lognormal(size=count),
        }
    )
    for part, start in enumerate(range(0, count, shard_rows)):
        pq.write_table(table.slice(start, shard_rows), directory / "scores" / f"part-{part:05d}.parquet")
    manifest = {
        "kind": "run",
        "id": run.id,
        "config": dict(workspace.config(run)),
        "scores": {"sha256": "5c0" * 21, "rows": count, "parts": []},
        "counts": {"sequences": count, "truncated": 2},
        "dataset": {"content_hash": "c0ffee" * 10, "alphabet": "rna", "sequences": count},
        "model": {
            "name": "tiny",
            "parameters": 12_345,
            "maximum_residues": 58,
            "content_hash": "added" * 12 + "face",
        },
        "subset": {"sequences": 50, "held_out": 20},
        "training": dict(workspace.config(run)["training"]),
        "hardware": {"device": "cpu"},
        "fisher": {"plan": {"precision": "bf16", "token_budget": 8192}},
        "influence": {"damping": 1e-8, "objective": "unmasked", "parameters": "head"},
        "convergence": {"verdict": "the subset is fitted"},
        "versions": {"bioprune": "0", "torch": "2", "transformers": "5"},
    }
    write_json(directory / "manifest.json", manifest)


def sample_project(workspace: Workspace, source: Path) -> tuple[Project, Dataset, Model, Run]:
    """A project with a finished dataset, a named model and a finished run."""
    sequences = random_sequences()
    source.write_text("".join(f">seq{row}\n{letters}\n" for row, letters in enumerate(sequences)))
    project = workspace.create_project("Sample")
    dataset = workspace.create_dataset(project, "pool", [source])
    finish_dataset(workspace, dataset, sequences)
    model = workspace.add_model(project, "tiny", "tiny-model")
    run = workspace.create_run(workspace.plan_run(dataset, model, 50))
    finish_run(workspace, run, sequences)
    return project, dataset, model, run
