"""Times the map of a pool: `python tests/benchmarks/bench_map.py [SEQUENCES] [WIDTH] [LANDMARKS]`."""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core.embedding import MapConfig, run_map
from bioprune_core.progress import Progress

_SHARD = 4096


def write_pool(root: Path, sequences: int, width: int) -> None:
    """A pool of 300 families of embeddings with heavy-tailed influences."""
    random = np.random.default_rng(0)
    centres = random.normal(scale=2, size=(300, width)).astype(np.float32)
    for folder in ("embeddings", "scores"):
        (root / folder).mkdir()
    for index, start in enumerate(range(0, sequences, _SHARD)):
        position = np.arange(start, min(start + _SHARD, sequences))
        values = centres[random.integers(0, 300, len(position))] + random.normal(size=(len(position), width))
        column = pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float16).reshape(-1)), width)
        scores = {
            "position": position,
            "hash": random.integers(0, 1 << 64, len(position), dtype=np.uint64),
            "influence": random.lognormal(0, 2, len(position)),
        }
        name = f"part-{index:05d}.parquet"
        pq.write_table(pa.table({"position": position, "embedding": column}), root / "embeddings" / name)
        pq.write_table(pa.table(scores), root / "scores" / name)


def main() -> None:
    """Draw the map once and print wall and processor seconds of its stages."""
    defaults = [72_000, 640, 20_000]
    given = [int(argument) for argument in sys.argv[1:]]
    sequences, width, landmarks = given + defaults[len(given) :]
    marks: dict[str, tuple[float, float]] = {}

    def mark(progress: Progress) -> None:
        marks[progress.stage] = (time.perf_counter(), time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pool(root, sequences, width)
        last = (time.perf_counter(), time.process_time())
        run_map(root / "embeddings", root / "scores", root / "map", MapConfig(landmarks=landmarks), mark)
    seconds = {}
    print(f"{sequences} sequences, width {width}, {landmarks} landmarks")
    for stage, end in marks.items():
        seconds[stage] = {"wall": round(end[0] - last[0], 2), "processor": round(end[1] - last[1], 2)}
        print(f"{stage:15} {seconds[stage]['wall']:8.2f} s {seconds[stage]['processor']:8.2f} s of processor")
        last = end
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"sequences": sequences, "width": width, "seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
