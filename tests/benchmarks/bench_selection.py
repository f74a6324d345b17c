"""Time of selection from many scores, over arrays and over a Parquet file read by DuckDB.

    python tests/benchmarks/bench_selection.py --rows 23000000 --threads 2

Scores are synthetic and heavy-tailed, as influences are. Wall time is the best of several runs; the processor
time beside it, divided by the number of threads, is what an otherwise idle machine would come near to.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core.selection import (
    SelectionConfig,
    StrataKind,
    Strategy,
    profile_scores,
    select_in_duckdb,
    select_with_rule,
    stratum_counts,
)
from bioprune_core.selection.arrays import as_hashes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=23_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prune-rate", type=Decimal, default=Decimal(90))
    parser.add_argument("--hardest-cut", type=Decimal, default=Decimal(5))
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder) / "scores.parquet")
    print(json.dumps(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(arguments: argparse.Namespace, path: Path) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    influence = random.standard_gamma(0.5, arguments.rows) * np.exp(
        1.5 * random.standard_normal(arguments.rows)
    )
    hashes = random.integers(0, 2**64, arguments.rows, dtype=np.uint64)
    tokens = random.integers(32, 402, arguments.rows).astype(np.int32)
    write(path, influence, hashes, tokens)
    connection = duckdb.connect()
    connection.execute(f"SET threads = {arguments.threads}")
    connection.execute(f"CREATE VIEW scores AS FROM '{path}'")
    figures: list[dict[str, Any]] = []

    def record(name: str, action: Callable[[], object]) -> None:
        wall, processor = best_of(arguments.repeats, action)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures.append(
            {
                "what": name,
                "rows": arguments.rows,
                "wall_s": round(wall, 3),
                "processor_s_per_thread": round(processor / arguments.threads, 3),
                "peak_mib": round(peak),
            }
        )
        print(
            f"{name:48} {wall:8.3f} s wall {processor / arguments.threads:8.3f} s processor/thread",
            flush=True,
        )

    def config(strategy: Strategy, kind: StrataKind = StrataKind.EQUAL_WIDTH) -> SelectionConfig:
        return SelectionConfig(strategy, arguments.prune_rate, arguments.hardest_cut, strata_kind=kind)

    central = config(Strategy.COVERAGE_CENTRIC)
    profile = profile_scores(connection, central)
    record("duckdb profile (cached per run)", lambda: profile_scores(connection, central))
    for kind in StrataKind:
        chosen = config(Strategy.COVERAGE_CENTRIC, kind)
        record(
            f"duckdb counts {kind}", lambda chosen=chosen: stratum_counts(connection, chosen, profile=profile)
        )
        record(
            f"duckdb select {kind}",
            lambda chosen=chosen: select_in_duckdb(connection, chosen, profile=profile).fetchnumpy(),
        )
    record(
        "duckdb select equal-width, no profile", lambda: select_in_duckdb(connection, central).fetchnumpy()
    )
    for strategy in (Strategy.TOP_INFLUENCE, Strategy.BOTTOM_INFLUENCE, Strategy.RANDOM):
        chosen = config(strategy)
        record(
            f"duckdb select {strategy}",
            lambda chosen=chosen: select_in_duckdb(connection, chosen, profile=profile).fetchnumpy(),
        )
    record("arrays check of ids", lambda: as_hashes(hashes, len(hashes)))
    for strategy in Strategy:
        chosen = config(strategy)
        record(
            f"arrays select {strategy}",
            lambda chosen=chosen: select_with_rule(influence, chosen, hashes, lengths=tokens),
        )
    for kind in list(StrataKind)[1:]:
        chosen = config(Strategy.COVERAGE_CENTRIC, kind)
        record(f"arrays select {kind}", lambda chosen=chosen: select_with_rule(influence, chosen, hashes))
    return figures


def write(path: Path, influence: np.ndarray, hashes: np.ndarray, tokens: np.ndarray) -> None:
    """A Parquet file as a score run writes it."""
    columns = {
        "position": np.arange(len(influence)),
        "hash": hashes,
        "influence": influence,
        "tokens": tokens,
    }
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=131_072)


def best_of(repeats: int, action: Callable[[], object]) -> tuple[float, float]:
    """Least wall and processor seconds of some runs."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        action()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors)


if __name__ == "__main__":
    main()
