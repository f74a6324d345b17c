"""The probe of all RNA tasks on real data for one network with random weights: seconds and peak memory.

Each task has a process of its own, so that peaks are its own. Reading, features and the whole probe are timed
apart; the head is what the whole takes longer than the features. Other work on the machine lengthens wall
time, so processor time stands beside it.

python tests/benchmarks/bench_probe.py [--scale tiny] [--threads 2] [--tasks rna-type m6a]
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bioprune_core.jobs.child import STAGE_ENVIRONMENT

# As stages run; read when torch is loaded.
os.environ.update(STAGE_ENVIRONMENT)

import torch
from real_data import SHARED_DATA, needed

from bioprune_core.evaluation import ProbeSettings, evaluate
from bioprune_core.evaluation.cropping import crop
from bioprune_core.evaluation.embed import pooled_features, residue_features
from bioprune_core.models import create_model
from bioprune_core.tasks import limit_training, read_task

_FOLDERS = {
    "rna-type": "nrc13",
    "crispr-on-target": "crispr_ontarget",
    "rna-structure": ".",
    "contact-map": "contact_map_spotrna2d",
    "rbp": "rbp_clip31",
    "m6a": "m6a_yeast",
}
_STEPS = ("read", "features", "head")
_UNITS = ("_s", "_processor_s")
_PROTEIN = "24_PARCLIP_QKI_hg19"

Row = dict[str, str | float]


@contextmanager
def timed(row: Row, what: str) -> Iterator[None]:
    """Note the wall and processor seconds of the block."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    row[f"{what}_s"] = round(time.perf_counter() - wall, 2)
    row[f"{what}_processor_s"] = round(time.process_time() - processor, 2)


def probe(name: str, scale: str, threads: int, told: Connection) -> None:
    """Probe one task and send its row."""
    torch.set_num_threads(threads)
    row: Row = {"task": name}
    model, settings = create_model("rna-fm", scale, "rna", 0), ProbeSettings()
    with tempfile.TemporaryDirectory() as temporary:
        place = SHARED_DATA / _FOLDERS[name]
        if name == "rbp":  # the reader takes a folder with the sites of one protein
            place = Path(temporary)
            for path in (SHARED_DATA / _FOLDERS[name]).glob(f"{_PROTEIN}.*"):
                (place / path.name).symlink_to(path.resolve())
        with timed(row, "read"):
            cropped = crop(read_task(name, place), model.maximum_residues).data
    with timed(row, "features"):
        if cropped.task.target.is_ragged:
            for examples in cropped.parts.values():
                residue_features(model, examples.sequences)
        else:
            for examples in limit_training(cropped, settings.sequences, 0).parts.values():
                pooled_features(model, examples.sequences, settings.pooling)
    with timed(row, "whole"):
        found = evaluate(model, cropped)
    for unit in _UNITS:
        row[f"head{unit}"] = round(float(row[f"whole{unit}"]) - float(row[f"features{unit}"]), 2)
    row["examples"] = sum(len(examples) for examples in cropped.parts.values())
    row["figure"] = round(found.figures[cropped.task.metrics[0]], 4)
    row["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    told.send(row)


def main() -> None:
    """Print a table, then its rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tasks", nargs="+", choices=list(_FOLDERS), default=list(_FOLDERS))
    arguments = parser.parse_args()
    for folder in _FOLDERS.values():
        needed(SHARED_DATA / folder)
    # Forked: nothing is computed here, so there are no threads to lose, and torch is loaded once.
    context = multiprocessing.get_context("fork")
    rows: list[Row] = []
    print(f"{'wall s (processor s)':20} {'read':>16} {'features':>16} {'head':>16} {'peak MiB':>9}  figure")
    for name in arguments.tasks:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=probe, args=(name, arguments.scale, arguments.threads, sending))
        process.start()
        sending.close()
        row = receiving.recv()
        process.join()
        rows.append(row)
        cells = [f"{row[f'{what}_s']:7.1f} ({row[f'{what}_processor_s']:6.1f})" for what in _STEPS]
        print(f"{name:20} {' '.join(cells)} {row['peak_mib']:9}  {row['figure']}", flush=True)
    totals = {
        f"{what}{unit}": round(sum(float(row[f"{what}{unit}"]) for row in rows), 1)
        for what in _STEPS
        for unit in _UNITS
    }
    wall, processor = (sum(totals[f"{what}{unit}"] for what in _STEPS) for unit in _UNITS)
    print(f"all: {wall:.0f} s of wall time, {processor:.0f} s of processor time")
    print(json.dumps({"scale": arguments.scale, "threads": arguments.threads, "rows": rows, **totals}))


if __name__ == "__main__":
    main()
