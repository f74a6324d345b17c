"""A finished run of invented numbers in a workspace, for the pages that show results."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from synthetic_run import write_synthetic_run

from bioprune_core.settings import Settings
from bioprune_core.storage import write_json
from bioprune_core.workspace import Project, Run, Workspace

__all__ = ["add_synthetic_run", "write_synthetic_workspace"]


def write_synthetic_workspace(root: Path, size: int) -> tuple[Workspace, Project, Run]:
    """A workspace with one project, "Synthetic", and one run."""
    workspace = Workspace.open(root, Settings(workspace=root, database_url=None))
    project = workspace.create_project("Synthetic")
    return workspace, project, add_synthetic_run(workspace, project, size)


def add_synthetic_run(workspace: Workspace, project: Project, size: int, *, part: int = 262_144) -> Run:
    """Put a dataset, a model and a finished run of `size` sequences into a project.

    The manifests hold what the pages of results read.
    """
    source = workspace.root / "synthetic.fasta"
    source.write_text(">invented\nACGU\n")
    dataset = workspace.create_dataset(project, f"pool of {size:,}", [source])
    model = workspace.add_model(project, "invented model", "rna-fm")
    content = {"content_hash": "5e" * 32, "alphabet": "rna", "sequences": size, "inputs": []}
    lengths = {"letters": 40 * size, "minimum_length": 20, "maximum_length": 80}
    options = {"options": {"deduplicate": True}}
    with TemporaryDirectory(dir=workspace.root) as folder:
        invented = write_synthetic_run(Path(folder), size, part=part)
        shutil.move(invented.sequences, workspace.directory(dataset) / "sequences")
        written = {"kind": "dataset", **content, **lengths, **options}
        write_json(workspace.directory(dataset) / "manifest.json", written)
        run = workspace.create_run(workspace.plan_run(dataset, model, min(2_000, size)))
        for name, place in (("scores", invented.scores), ("map", invented.map)):
            shutil.move(place, workspace.directory(run) / name)
    manifest = {
        "kind": "run",
        "id": run.id,
        "config": dict(workspace.config(run)),
        "dataset": {"id": dataset.id, **content},
        "model": {
            "name": "invented model",
            "parameters": 1_234_567,
            "maximum_residues": 1_022,
            "content_hash": "added" * 12 + "face",
        },
        "scores": {"rows": size, "sha256": f"{size:064x}", "parts": []},
        "counts": {"sequences": size, "truncated": 0},
        "subset": {"sequences": min(2_000, size), "held_out": 0},
        "training": dict(workspace.config(run)["training"]),
        "hardware": {"device": "cpu"},
        "fisher": {"plan": {"precision": "bf16", "token_budget": 8192}},
        "influence": {"damping": 1e-8, "objective": "unmasked", "parameters": "head"},
        "convergence": {"verdict": "adapted"},
        "versions": {"bioprune": "0", "torch": "2", "transformers": "5"},
        "rank_correlations": {"tokens": -0.41, "loss": 0.27, "gradient_norm": 0.9, "rows": size},
    }
    write_json(workspace.directory(run) / "manifest.json", manifest)
    return run
