"""Time of selection from many scores: arrays, Parquet files in two layouts, and a DuckDB table.

    python tests/benchmarks/bench_selection.py --rows 23000000 --threads 2

Scores are synthetic and heavy-tailed, as influences are. Wall time is the best of several runs; the processor
time beside it, divided by the number of threads, is what an otherwise idle machine would come near to.
"""

import argparse
import json
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
from numpy.typing import NDArray

from bioprune_core.selection import (
    SelectionConfig,
    StrataKind,
    Strategy,
    profile_scores,
    select,
    select_in_duckdb,
    select_sql,
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
        figures = measure(arguments, Path(folder))
    print(json.dumps(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    influence = random.standard_gamma(0.5, arguments.rows) * np.exp(
        1.5 * random.standard_normal(arguments.rows)
    )
    hashes = random.integers(0, 2**64, arguments.rows, dtype=np.uint64)
    tokens = random.integers(32, 402, arguments.rows).astype(np.int32)
    columns = {
        "position": np.arange(arguments.rows),
        "hash": hashes,
        "influence": influence,
        "tokens": tokens,
    }
    write_layouts(folder, pa.table(columns))
    figures: list[dict[str, Any]] = []

    def record(name: str, action: Callable[[], object]) -> None:
        wall, processor = best_of(arguments.repeats, action)
        processor /= arguments.threads
        figure = {"what": name, "wall_s": round(wall, 3), "processor_s_per_thread": round(processor, 3)}
        figures.append(figure | {"rows": arguments.rows})
        print(f"{name:44} {wall:8.3f} s wall {processor:8.3f} s processor/thread", flush=True)

    def config(strategy: Strategy, kind: StrataKind = StrataKind.EQUAL_WIDTH) -> SelectionConfig:
        return SelectionConfig(strategy, arguments.prune_rate, arguments.hardest_cut, strata_kind=kind)

    record("arrays check of ids", lambda: as_hashes(hashes, len(hashes)))
    central = {f"coverage_centric {kind}": config(Strategy.COVERAGE_CENTRIC, kind) for kind in StrataKind}
    others = {str(one): config(one) for one in Strategy if one is not Strategy.COVERAGE_CENTRIC}
    for name, chosen in (central | others).items():
        record(f"arrays {name}", lambda chosen=chosen: array_select(influence, hashes, tokens, chosen))
    connection = duckdb.connect(folder / "table.duckdb")
    connection.execute(f"SET threads = {arguments.threads}")
    for layout in LAYOUTS:
        connection.execute(f"CREATE OR REPLACE VIEW scores AS FROM '{folder / layout}.parquet'")
        record_views(record, connection, layout, central if layout == "plain" else {}, config)
    connection.execute("DROP VIEW scores")
    connection.execute(f"CREATE TABLE scores AS FROM '{folder / 'plain'}.parquet'")
    record_views(record, connection, "table", central | others, config)
    return figures


def record_views(
    record: Callable[[str, Callable[[], object]], None],
    connection: duckdb.DuckDBPyConnection,
    layout: str,
    selections: dict[str, SelectionConfig],
    config: Callable[..., SelectionConfig],
) -> None:
    """What a page asks (with the profile cached) and what the making of a coreset asks (without)."""
    central = config(Strategy.COVERAGE_CENTRIC)
    profile = profile_scores(connection, central)
    record(f"{layout}: profile", lambda: profile_scores(connection, central))
    record(f"{layout}: counts per stratum", lambda: stratum_counts(connection, central, profile=profile))
    record(f"{layout}: rule", lambda: select_sql(connection, central, profile=profile))
    record(f"{layout}: coverage_centric", lambda: select_in_duckdb(connection, central))
    for name, chosen in selections.items():
        known = profile_scores(connection, chosen)
        record(
            f"{layout}: {name}, profile known",
            lambda chosen=chosen, known=known: select_in_duckdb(
                connection, chosen, profile=known
            ).fetchnumpy(),
        )


def array_select(
    influence: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    tokens: NDArray[np.int32],
    config: SelectionConfig,
) -> NDArray[np.int64]:
    return select(
        influence,
        config.strategy,
        config.prune_rate,
        config.hardest_cut,
        ids=hashes,
        strata_kind=config.strata_kind,
        lengths=tokens,
    )


# Dictionaries and compression do nothing for random bits but cost time; positions shrink as deltas.
LAYOUTS: dict[str, dict[str, Any]] = {
    "default": {"compression": "zstd"},
    "plain": {
        "use_dictionary": False,
        "compression": {"position": "zstd", "hash": "none", "influence": "none", "tokens": "zstd"},
        "column_encoding": {"position": "DELTA_BINARY_PACKED"},
    },
}


def write_layouts(folder: Path, table: pa.Table) -> None:
    for name, options in LAYOUTS.items():
        path = folder / f"{name}.parquet"
        pq.write_table(table, path, row_group_size=131_072, **options)
        print(f"{name}.parquet: {path.stat().st_size / len(table):.1f} bytes a row")


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
