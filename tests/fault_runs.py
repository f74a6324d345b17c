"""Real runs for the tests of faults: small ones, their digests, their workers and their processes."""

import os
import subprocess
import sys
from pathlib import Path

from stages_here import compute_here
from workspace_samples import open_workspace

from bioprune_core.hashing import file_digest
from bioprune_core.jobs import JobKind
from bioprune_core.workspace import Run, Workspace

__all__ = ["digests", "planned_run", "stage_processes", "start_worker"]

TESTS = Path(__file__).resolve().parent


def planned_run(
    root: Path, source: Path, model: Path, *, subset_size: int = 48, shard_size: int = 16
) -> tuple[Workspace, Run]:
    """A workspace of its own with the pool ingested and the run planned."""
    workspace = open_workspace(root)
    project = workspace.create_project("faults")
    dataset = workspace.create_dataset(project, "pool", [source], {"alphabet": "rna"})
    compute_here(workspace, JobKind.INGEST, dataset.id)
    config = workspace.plan_run(
        dataset,
        workspace.add_model(project, "tiny", str(model)),
        subset_size=subset_size,
        held_out_size=16,
        training={"steps": 6, "token_budget": 512, "checkpoint_every_steps": 2},
        influence={"shard_size": shard_size},
    )
    return workspace, workspace.create_run(config)


def digests(directory: Path) -> dict[str, str]:
    """What a run computed, by file: the subset, the adapted weights, the Fisher, scores and embeddings."""
    patterns = (
        "*.parquet",
        "adapted/network/*",
        "fisher/*.safetensors",
        "scores/*.parquet",
        "embeddings/*.parquet",
    )
    files = [path for pattern in patterns for path in directory.glob(pattern)]
    return {str(path.relative_to(directory)): file_digest(path) for path in sorted(files)}


def start_worker(workspace: Workspace, name: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, str(TESTS / "real_worker.py"), str(workspace.root), name])


def stage_processes(directory: Path) -> list[int]:
    """Process ids of the stages at work in a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue  # It ended while we looked.
        if b"bioprune_core.jobs." in line and os.fsencode(directory) in line:
            found.append(int(path.parent.name))
    return found
