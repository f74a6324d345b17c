"""A workspace with a finished run of invented numbers, for the pages that show results."""

import shutil
from pathlib import Path

from synthetic_run import write_synthetic_run

from bioprune_core.settings import Settings
from bioprune_core.storage import write_json
from bioprune_core.workspace import Project, Run, Workspace

__all__ = ["write_synthetic_workspace"]


def write_synthetic_workspace(
    root: Path, size: int, *, part: int = 262_144
) -> tuple[Workspace, Project, Run]:
    """A project "Synthetic" whose one run has `size` sequences; manifests hold what pages read."""
    workspace = Workspace.open(root, Settings(workspace=root, database_url=None))
    project = workspace.create_project("Synthetic")
    source = root / "synthetic.fasta"
    source.write_text(">invented\nACGU\n")
    dataset = workspace.create_dataset(project, f"pool of {size:,}", [source])
    invented = write_synthetic_run(root / "invented", size, part=part)
    folder = workspace.directory(dataset)
    shutil.move(invented.sequences, folder / "sequences")
    content = {"content_hash": "5e" * 32, "alphabet": "rna", "sequences": size}
    lengths = {"letters": 40 * size, "minimum_length": 20, "maximum_length": 80}
    write_json(folder / "manifest.json", {"kind": "dataset", **content, **lengths})
    model = workspace.add_model(project, "invented model", "rna-fm")
    run = workspace.create_run(workspace.plan_run(dataset, model, min(2_000, size)))
    folder = workspace.directory(run)
    for name, place in (("scores", invented.scores), ("map", invented.map)):
        shutil.move(place, folder / name)
    correlations = {"tokens": -0.41, "loss": 0.27, "gradient_norm": 0.9, "rows": size}
    manifest = {
        "kind": "run",
        "id": run.id,
        "config": dict(workspace.config(run)),
        "dataset": {"id": dataset.id, **content},
        "model": {"name": "invented model", "parameters": 1_234_567, "maximum_residues": 1_022},
        "scores": {"rows": size, "sha256": f"{size:064x}", "parts": []},
        "counts": {"sequences": size, "truncated": 0},
        "rank_correlations": correlations,
    }
    write_json(folder / "manifest.json", manifest)
    return workspace, project, run
