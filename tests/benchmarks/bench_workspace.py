"""Seconds, rates and peak memory of coresets and exports, over a synthetic run of a given size.

On a machine that is busy with other work, the processor time is what a step would take alone.

python tests/benchmarks/bench_workspace.py [1000000] [--letters 220] [--part 262144] [--prune-rate 90]
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from synthetic_run import write_synthetic_run

from bioprune_core.selection import SelectionConfig
from bioprune_core.settings import Settings
from bioprune_core.storage import write_json
from bioprune_core.workspace import (
    Dataset,
    ExportFormat,
    Model,
    Run,
    RunConfig,
    Workspace,
    export_coreset,
    export_scores,
)


def synthetic_workspace(root: Path, size: int, letters: int, part: int) -> tuple[Workspace, Run]:
    """A workspace that holds one synthetic run."""
    write_synthetic_run(root, size, letters=letters, part=part)
    workspace = Workspace.open(root, Settings(workspace=root, database_url=None))
    project = workspace.create_project("benchmark")
    catalogue = workspace.catalogue
    dataset = catalogue.add(Dataset, "pool", id="dataset-synthetic", project_id=project.id)
    model = catalogue.add(
        Model, "model", id="model-synthetic", project_id=project.id, reference="none", dataset_id=None
    )
    config = RunConfig(dataset.id, "0" * 64, model.id, subset_size=1)
    run = catalogue.add(
        Run,
        "run",
        id="run-synthetic",
        project_id=project.id,
        dataset_id=dataset.id,
        model_id=model.id,
        digest=config.digest,
    )
    write_json(workspace.directory(run) / "config.json", config.to_json())
    manifest = {"scores": {"sha256": "0"}, "counts": {"sequences": size}, "dataset": {}, "model": {}}
    write_json(workspace.directory(run) / "manifest.json", manifest)
    return workspace, run


def measure(name: str, step: Callable[[], object], rows: int) -> dict[str, float | str]:
    """Run a step and print its line."""
    wall, processor = time.perf_counter(), time.process_time()
    step()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:24}{wall:10.2f} s{processor:10.2f} s{rows / wall:14,.0f} /s{peak:10,.0f} MiB")
    return {"step": name, "seconds": wall, "processor_seconds": processor, "rows": rows, "peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--letters", type=int, default=220)
    parser.add_argument("--part", type=int, default=262_144)
    parser.add_argument("--prune-rate", type=float, default=90)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace, run = synthetic_workspace(Path(folder), options.size, options.letters, options.part)
        print(f"{'step':24}{'wall':>12}{'processor':>12}{'rows':>16}{'peak so far':>14}")
        results = []
        made = []

        def create() -> None:
            made.append(workspace.create_coreset(run, "c", SelectionConfig(prune_rate=options.prune_rate)))

        results.append(measure("create coreset", create, options.size))
        kept = workspace.manifest(made[0])["sequences"]
        for file_format in ExportFormat:
            output = Path(folder) / f"export{file_format.suffix}"

            def export(file_format: ExportFormat = file_format, output: Path = output) -> None:
                export_coreset(workspace, made[0], file_format, output)

            results.append(measure(f"export {file_format}", export, kept))
        results.append(
            measure(
                "export scores",
                lambda: export_scores(workspace, run, Path(folder) / "scores.parquet"),
                options.size,
            )
        )
    print(json.dumps({"size": options.size, "steps": results}))


if __name__ == "__main__":
    main()
