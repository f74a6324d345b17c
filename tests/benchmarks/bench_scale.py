"""Time, memory and disk of everything but the scoring itself, at the size of a pool of the field.

python tests/benchmarks/bench_scale.py [--sequences 100000000] [--work-folder /big/disk] [--json figures.json]

Seeded synthetic RNA in packed FASTA files goes through the real ingest, draw of the subset, writing of
score shards (with invented heavy-tailed scores in place of a model's), manifest, selection and export.
Every step is a process of its own: its wall and processor seconds and its largest resident memory are those
the kernel counted, and the folder's size is looked at while it runs. At the default of 100 million sequences
it took 22 minutes of two busy cores and 25 GB of disk, which are given back at its end.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAME = "scale"
FILES = 8
COMMON = 100_000
LOOK_S = 2.0


def generate(root: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Packed FASTA files; a share of the records repeats one of some common sequences."""
    import numpy as np
    from bench_ingest import blocks, opened

    (root / "input").mkdir(parents=True)
    common = next(blocks(COMMON, given.length, 0.0, given.seed))
    number = 0
    for file in range(FILES):
        count = given.sequences * (file + 1) // FILES - given.sequences * file // FILES
        generator = np.random.default_rng([given.seed, file])
        with opened(root / "input" / f"part-{file}.fasta.zst") as stream:
            for block in blocks(count, given.length, 0.0, given.seed + 1 + file):
                repeats = np.flatnonzero(generator.random(len(block)) < given.duplicates)
                chosen = generator.integers(0, len(common), len(repeats))
                for row, other in zip(repeats.tolist(), chosen.tolist(), strict=True):
                    block[row] = common[other]
                lines = [
                    b">URS%010X_9606\n%s\n" % (number + row, sequence) for row, sequence in enumerate(block)
                ]
                number += len(block)
                stream.write(b"".join(lines))
    return {"sequences": number}


def ingest(root: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The real ingest, into a dataset of a workspace."""
    from bioprune_core.sequences import ingest

    workspace = opened_workspace(root)
    project = workspace.create_project(NAME)
    dataset = workspace.create_dataset(project, NAME, [root / "input"])
    report = ingest(root / "input", workspace.directory(dataset))
    return {"read": report.read, "sequences": report.sequences}


def draw(root: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The subset that a run is fine-tuned on, as the stage of that name draws it."""
    from bioprune_core.jobs.subset import draw_subset

    pool = opened_pool(root)
    drawn = draw_subset(pool.hashes(), min(len(pool), given.subset), 0, given.seed)
    return {"sequences": len(drawn.subset)}


def score(root: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Shards of invented scores, read, claimed, written and receipted as a score pass does."""
    from contextlib import ExitStack

    import numpy as np

    from bioprune_core.claims import finish_together
    from bioprune_core.influence.receipt import find_receipt, origin_of, write_receipt
    from bioprune_core.influence.score_file import ScoreColumns, write_scores
    from bioprune_core.sequences.block import SequenceBlock

    workspace, pool = opened_workspace(root), opened_pool(root)
    model = workspace.add_model(NAME, NAME, "rna-fm")
    influence = {} if given.shard_size is None else {"shard_size": given.shard_size}
    settings = {"influence": influence, "diagnostics": {"enabled": False}}
    config = workspace.plan_run(workspace.dataset(NAME), model, given.subset, **settings)
    scores = workspace.directory(workspace.create_run(config, NAME)) / "scores"
    size = config.influence["shard_size"]

    def read(index: int) -> SequenceBlock:
        return pool.read(index * size, min((index + 1) * size, len(pool)))

    def compute(index: int, block: SequenceBlock, _: ExitStack) -> Callable[[], int]:
        files = {"scores": scores / f"part-{index:05d}.parquet"}
        receipt = files["scores"].with_suffix(".json")
        origin = origin_of({"stage": "score"}, block.positions, block.hashes)
        counts = find_receipt(receipt, origin, files)
        if counts is not None:
            return lambda: counts["sequences"]
        random = np.random.default_rng([given.seed, index])
        heavy = random.standard_gamma(0.5, len(block)) * np.exp(1.5 * random.standard_normal(len(block)))
        loss = random.normal(1.2, 0.1, len(block)).astype(np.float32)
        tokens = (np.diff(block.offsets) + 2).astype(np.int32)
        columns = ScoreColumns(block.positions, block.hashes, heavy, loss, tokens, np.sqrt(heavy))

        def write() -> int:
            write_scores(columns, files["scores"])
            write_receipt(receipt, origin, files, {"sequences": len(block)})
            return len(block)

        return write

    shards = -(-len(pool) // size)
    done = finish_together(shards, read, compute, scores / ".claims", wait=True)
    shutil.rmtree(scores / ".claims")
    return {"sequences": sum(count or 0 for count in done), "shards": shards, "shard_size": size}


def conclude(root: Path, given: argparse.Namespace) -> dict[str, Any]:
    """What the manifest of a run needs of all shards: digests and rank correlations."""
    from bioprune_core.hashing import file_digest
    from bioprune_core.jobs.correlations import score_correlations
    from bioprune_core.storage import write_json
    from bioprune_core.workspace.positioned import parts_of

    workspace, pool = opened_workspace(root), opened_pool(root)
    directory = workspace.directory(workspace.run(NAME))
    parts = parts_of(directory / "scores")
    digests = [file_digest(path) for path in parts]
    manifest = {
        "scores": {"sha256": digests[0], "parts": digests},
        "counts": {"sequences": len(pool)},
        "rank_correlations": score_correlations(parts, len(pool)),
        "dataset": {},
        "model": {},
    }
    write_json(directory / "manifest.json", manifest)
    return {"sequences": len(pool)}


def select(strategy: str) -> Callable[[Path, argparse.Namespace], dict[str, Any]]:
    """A step that saves a coreset, as `bioprune select` does."""

    def step(root: Path, given: argparse.Namespace) -> dict[str, Any]:
        from bioprune_core.selection import SelectionConfig, Strategy

        workspace = opened_workspace(root)
        cut = {"hardest_cut": 5} if strategy == Strategy.COVERAGE_CENTRIC else {}
        selection = SelectionConfig.from_json({"strategy": strategy, "prune_rate": given.prune_rate, **cut})
        coreset = workspace.create_coreset(workspace.run(NAME), strategy, selection)
        return {"sequences": workspace.manifest(coreset)["sequences"]}

    return step


def export(file_format: str) -> Callable[[Path, argparse.Namespace], dict[str, Any]]:
    """A step that exports the coverage-centric coreset."""

    def step(root: Path, given: argparse.Namespace) -> dict[str, Any]:
        from bioprune_core.workspace import ExportFormat, export_coreset

        workspace, chosen = opened_workspace(root), ExportFormat(file_format)
        coreset = workspace.coreset("coverage_centric")
        export_coreset(workspace, coreset, chosen, root / f"coreset{chosen.suffix}")
        return {"sequences": workspace.manifest(coreset)["sequences"]}

    return step


STEPS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "generate": generate,
    "ingest": ingest,
    "draw subset": draw,
    "write scores": score,
    "manifest": conclude,
    "select CCI": select("coverage_centric"),
    "select Top-I": select("top_influence"),
    "export FASTA": export("fasta"),
    "export ids": export("ids"),
}


def opened_workspace(root: Path) -> Any:
    """The workspace of the benchmark."""
    from bioprune_core.settings import Settings
    from bioprune_core.workspace import Workspace

    folder = root / "workspace"
    return Workspace.open(folder, Settings(workspace=folder, database_url=None))


def opened_pool(root: Path) -> Any:
    """The ingested pool."""
    from bioprune_core.sequences import Pool

    workspace = opened_workspace(root)
    return Pool.open(workspace.directory(workspace.dataset(NAME)))


def sizes(folder: Path) -> Iterator[int]:
    """Bytes of every file below a folder that other processes are writing to."""
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield Path(place, name).stat().st_blocks * 512
            except FileNotFoundError:
                continue  # Removed since it was listed.


def run_step(name: str, root: Path, options: list[str]) -> dict[str, Any]:
    """One step in a process of its own, with what the kernel counted of it."""
    before = largest = sum(sizes(root))
    command = [sys.executable, __file__, "--step", name, "--work-folder", str(root), *options]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    over = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not over.wait(LOOK_S):
            largest = max(largest, sum(sizes(root)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stdout is not None
    facts = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    over.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"The step {name} ended with status {process.returncode}.")
    after = sum(sizes(root))
    return {
        "step": name,
        "wall_s": round(wall, 2),
        "processor_s": round(usage.ru_utime + usage.ru_stime, 2),
        "largest_memory_MB": round(usage.ru_maxrss / 1024, 1),
        "disk_MB": round((after - before) / 1e6, 1),
        "largest_disk_MB": round((max(largest, after) - before) / 1e6, 1),
        **json.loads(facts.splitlines()[-1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=100_000_000)
    parser.add_argument("--length", type=int, default=90, help="mean; lengths differ by up to a quarter")
    parser.add_argument("--duplicates", type=float, default=0.1, help="share of records that repeat another")
    parser.add_argument("--subset", type=int, default=100_000)
    parser.add_argument("--shard-size", type=int, help="sequences in a score shard; default: as a run plans")
    parser.add_argument("--prune-rate", default="90")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work-folder", type=Path, help="where to put files; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(STEPS[given.step](given.work_folder, given)))
        return
    options = []
    for name in ("sequences", "length", "duplicates", "subset", "shard_size", "prune_rate", "seed"):
        if getattr(given, name) is not None:
            options += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
    results = []
    with tempfile.TemporaryDirectory(dir=given.work_folder) as folder:
        print(f"{'step':14}{'wall s':>10}{'cpu s':>10}{'peak MB':>10}{'disk MB':>10}{'at most':>10}  rows")
        for name in STEPS:
            figures = run_step(name, Path(folder), options)
            results.append(figures)
            time_and_memory = "".join(
                f"{figures[key]:10,.1f}" for key in ("wall_s", "processor_s", "largest_memory_MB")
            )
            disk = f"{figures['disk_MB']:10,.0f}{figures['largest_disk_MB']:10,.0f}"
            print(f"{name:14}{time_and_memory}{disk}  {figures['sequences']:,}", flush=True)
    settings = {"sequences": given.sequences, "length": given.length, "cores": os.cpu_count()}
    text = json.dumps({"settings": settings, "steps": results})
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
