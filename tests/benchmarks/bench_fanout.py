"""How much quicker a score pass is when a second process helps, each with one thread.

The pass runs alone and with one helper, in turn, over the same seeded sample of real RNAs; both processes
have loaded their models before the clock starts. Efficiency is the ratio of the two times. What the queue
adds is left out: idle workers are called within three seconds, and load their model in about five.

python tests/benchmarks/bench_fanout.py [--sequences 6000] [--shard-size 256] [--repeats 3]
    [--model rna-fm-tiny] [--json F]
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from bench_influence import machine, open_model
from memory_pool import MemoryPool
from real_data import RNAS, needed, rnas

from bioprune_core.influence import InfluenceConfig, help_scores, run_scores
from bioprune_core.influence.gradient_engine import gradient_engine


def work(given: argparse.Namespace, folder: Path, ready: Barrier, helps: bool) -> None:
    """One process of the pass."""
    torch.set_num_threads(1)
    model = open_model(given.model, "cpu")
    pool = MemoryPool(rnas(given.sequences))
    config = InfluenceConfig(shard_size=given.shard_size)
    fisher = np.full(gradient_engine(model, config).shape, 1e-6)
    arguments = (model, pool, fisher, config, folder / "scores", folder / "embeddings")
    ready.wait()
    if helps:
        help_scores(*arguments)
    else:
        started = time.perf_counter()
        run_scores(*arguments)
        (folder / "seconds").write_text(str(time.perf_counter() - started))


def measure(given: argparse.Namespace, processes: int) -> float:
    """Seconds of a pass by so many processes."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        ready = context.Barrier(processes)
        children = [
            context.Process(target=work, args=(given, Path(folder), ready, number > 0))
            for number in range(processes)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
            if child.exitcode:
                raise SystemExit(f"A process ended with exit code {child.exitcode}.")
        return float((Path(folder) / "seconds").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sequences", type=int, default=6000)
    parser.add_argument("--shard-size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="rna-fm-tiny")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    needed(RNAS)
    rows = []
    print(f"{'repeat':>7} {'one, s':>8} {'two, s':>8} {'times':>6}")
    for repeat in range(given.repeats):
        order = (1, 2) if repeat % 2 == 0 else (2, 1)
        seconds = {processes: measure(given, processes) for processes in order}
        rows.append({"one_s": seconds[1], "two_s": seconds[2], "times": seconds[1] / seconds[2]})
        print(
            f"{repeat + 1:>7} {seconds[1]:>8.2f} {seconds[2]:>8.2f} {seconds[1] / seconds[2]:>6.2f}",
            flush=True,
        )
    figures = {
        "machine": machine(torch.device("cpu")),
        "sequences": given.sequences,
        "shard_size": given.shard_size,
        "model": given.model,
        "times": statistics.median(row["times"] for row in rows),
        "repeats": rows,
    }
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
