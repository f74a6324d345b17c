"""Near-identity over a pool: processor seconds and peak memory of each comparison in a process of its own.

python tests/benchmarks/bench_near_identity.py [FASTA] [--sequences 200000] [--tests 2000]

Without a file the pool is seeded synthetic RNA of 100 to 200 nt, half of it in families of about ten members
with up to a tenth of their letters substituted. The test sequences are drawn from the pool and lose three
letters.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences import IngestOptions, Pool, ingest
from bioprune_core.sequences.near_identity import near_duplicate_clusters, near_identical


def write_synthetic(path: Path, sequences: int) -> None:
    """The synthetic pool as FASTA."""
    random = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGU", dtype=np.uint8)
    founders = random.choice(letters, (max(1, sequences // 20), 200))
    with path.open("wb") as stream:
        for number in range(sequences):
            if number % 2:
                row = founders[random.integers(len(founders))].copy()
                changed = random.integers(0, len(row), int(random.integers(0, len(row) // 10)))
                row[changed] = random.choice(letters, len(changed))
            else:
                row = random.choice(letters, int(random.integers(100, 200)))
            stream.write(b">%d\n%s\n" % (number, row.tobytes()))


def make(fasta: Path | None, sequences: int, folder: Path) -> None:
    """The dataset, in a process of its own: peaks of a process begin with what started it."""
    if fasta is None:
        fasta = folder / "pool.fasta"
        write_synthetic(fasta, sequences)
    ingest(fasta, folder / "dataset", IngestOptions(alphabet=Alphabet.RNA))


def tests_of(pool: Pool, count: int) -> list[str]:
    """Sequences of the pool, each without its last three letters."""
    places = np.random.default_rng(1).choice(len(pool), min(count, len(pool)), replace=False)
    block = pool.take(np.sort(places))
    return sorted({block.sequence(row)[:-3] for row in range(len(block))})


def compare(what: str, dataset: Path, tests: int, told: Connection) -> None:
    """Compare, and send the figures."""
    pool = Pool.open(dataset)
    asked = tests_of(pool, tests)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = time.perf_counter(), time.process_time()
    if what == "clusters":
        found = len(np.unique(near_duplicate_clusters(pool, pool.alphabet)))
    else:
        found = int(near_identical(pool, asked, pool.alphabet).sum())
    row = {
        "found": found,
        "wall_s": round(time.perf_counter() - wall, 1),
        "processor_s": round(time.process_time() - processor, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "peak_before_mb": before // 1024,
    }
    told.send((len(pool), row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fasta", type=Path, nargs="?", help="a file of RNA; default: a synthetic pool")
    parser.add_argument("--sequences", type=int, default=200_000)
    parser.add_argument("--tests", type=int, default=2_000)
    given = parser.parse_args()
    fresh, results = multiprocessing.get_context("spawn"), {}
    with tempfile.TemporaryDirectory() as folder:
        making = fresh.Process(target=make, args=(given.fasta, given.sequences, Path(folder)))
        making.start()
        making.join()
        print("comparison  sequences    found   wall s  processor s  peak MB  before MB")
        for what in ("clusters", "near"):
            hears, tells = fresh.Pipe(duplex=False)
            process = fresh.Process(target=compare, args=(what, Path(folder, "dataset"), given.tests, tells))
            process.start()
            tells.close()
            count, row = results[what] = hears.recv()
            process.join()
            costs = f"{row['wall_s']:8.1f} {row['processor_s']:12.1f}"
            memory = f"{row['peak_mb']:8} {row['peak_before_mb']:10}"
            print(f"{what:10} {count:10,} {row['found']:8,} {costs} {memory}", flush=True)
    print(json.dumps({what: {"sequences": count, **row} for what, (count, row) in results.items()}))


if __name__ == "__main__":
    main()
