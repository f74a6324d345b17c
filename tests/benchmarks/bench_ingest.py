"""Speed and memory of the ingest, from file to Parquet, on synthetic RNA.

python tests/benchmarks/bench_ingest.py [--sequences 1000000] [--length 220] [--formats fasta fasta.gz]

The figures of an ingest are those of a process of its own, pinned to one core: wall and processor seconds,
and the largest resident memory. Beside them stands what one core manages at that moment in BLAKE2b digests
of 220 bytes alone (1,200,000 a second on the idle machine of the project), to tell a slow ingest from a busy
machine.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import zstandard

FORMATS = ("fasta", "fasta.gz", "fasta.zst", "fastq", "csv")


def blocks(sequences: int, length: int, duplicates: float, seed: int) -> Iterator[list[bytes]]:
    """Seeded RNA in blocks; a share of `duplicates` repeats one of the first sequences."""
    generator = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGU", dtype=np.uint8)
    first: list[bytes] = []
    for start in range(0, sequences, 100_000):
        count = min(100_000, sequences - start)
        sizes = generator.integers(length - length // 4, length + length // 4 + 1, count)
        whole = letters[generator.integers(0, 4, int(sizes.sum()), dtype=np.uint8)].tobytes()
        ends = np.cumsum(sizes).tolist()
        block = [whole[end - size : end] for end, size in zip(ends, sizes.tolist(), strict=True)]
        first = first or block
        for row in np.flatnonzero(generator.random(count) < duplicates).tolist():
            block[row] = first[row % len(first)]
        yield block


def opened(path: Path) -> BinaryIO:
    """The file at `path` for writing, packed as its ending says."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "wb", compresslevel=6))
    if path.suffix == ".zst":
        return cast(BinaryIO, zstandard.open(path, "wb"))
    return path.open("wb")


def write(path: Path, sequences: int, length: int, duplicates: float) -> None:
    """The file at `path` in the format of its endings."""
    kind = path.name.split(".")[1]
    number = 0
    with opened(path) as stream:
        if kind == "csv":
            stream.write(b"id,sequence,family\n")
        for block in blocks(sequences, length, duplicates, seed=0):
            lines = []
            for sequence in block:
                number += 1
                name = b"URS%010X_9606" % number
                if kind == "fasta":
                    lines.append(b">%s Homo sapiens RNA %d\n%s\n" % (name, number, sequence))
                elif kind == "fastq":
                    lines.append(b"@%s\n%s\n+\n%s\n" % (name, sequence, b"F" * len(sequence)))
                else:
                    lines.append(b"%s,%s,RF%05d\n" % (name, sequence, number % 3000))
            stream.write(b"".join(lines))


def measure(path: Path, output: Path) -> dict[str, float]:
    """Figures of one ingest in a process of its own on one core."""
    run = subprocess.run(
        ["taskset", "-c", "0", sys.executable, __file__, "--child", str(path), str(output)],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(run.stdout.splitlines()[-1]))


def digests_per_s() -> float:
    """How many sequences of 220 letters this core digests in a second of processor time."""
    sequence, count = b"ACGU" * 55, 200_000
    started = time.process_time()
    for _ in range(count):
        blake2b(sequence, digest_size=16).digest()
    return count / (time.process_time() - started)


def child(path: Path, output: Path) -> None:
    """One ingest, with its figures as a line of JSON."""
    from bioprune_core.sequences import ingest

    reference = digests_per_s()
    wall, processor = time.perf_counter(), time.process_time()
    report = ingest(path, output)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    figures = {
        "sequences_per_s": report.read / wall,
        "sequences_per_processor_s": report.read / processor,
        "wall_s": wall,
        "processor_s": processor,
        "largest_memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "digests_per_processor_s": (reference + digests_per_s()) / 2,
        "kept": report.kept,
        "input_bytes": path.stat().st_size,
        "output_bytes": sum(part.stat().st_size for part in (output / "sequences").iterdir()),
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=1_000_000)
    parser.add_argument("--length", type=int, default=220)
    parser.add_argument("--duplicates", type=float, default=0.1, help="share of records that repeat another")
    parser.add_argument("--formats", nargs="+", default=FORMATS)
    parser.add_argument("--directory", type=Path, help="where to put files; default: a temporary folder")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    results = {}
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        print("format            seq/s  seq/cpu-s   wall s     MB digests/cpu-s")
        for kind in given.formats:
            path = Path(folder, f"sequences.{kind}")
            write(path, given.sequences, given.length, given.duplicates)
            figures = results[kind] = measure(path, Path(folder, f"dataset-{kind}"))
            path.unlink()
            speeds = f"{figures['sequences_per_s']:10,.0f} {figures['sequences_per_processor_s']:10,.0f}"
            costs = f"{figures['wall_s']:8.2f} {figures['largest_memory_MB']:6.0f}"
            reference = f"{figures['digests_per_processor_s']:13,.0f}"
            print(f"{kind:12s} {speeds} {costs} {reference}", flush=True)
    settings = {"sequences": given.sequences, "length": given.length, "cores": os.cpu_count()}
    print(json.dumps({"settings": settings, "results": results}))


if __name__ == "__main__":
    main()
