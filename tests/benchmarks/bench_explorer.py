"""Seconds and memory of every query behind the explorer, over synthetic runs of a given size.

On a machine that is busy with other work, the processor time over the threads is what it would take alone.

python tests/benchmarks/bench_explorer.py 1000000 [--folder DIR] [--threads 2]
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.queries.brush import Brush, CategoryColumn
from app.queries.composition import category_shares, letters
from app.queries.coverage import category_coverage, length_coverage
from app.queries.distribution import (
    Axis,
    histogram,
    influence_extent,
    strata_histogram,
    summary,
)
from app.queries.embedding_map import density, map_extent, neighbours, sample_points
from app.queries.relation import bucket_expression, number
from app.queries.run_table import SAMPLE_ROWS
from app.queries.sequence import scored_sequence
from app.queries.table import count_rows, table_page
from bioprune_core.selection import SelectionConfig, profile_scores, select_sql, stratum_counts


def questions(connection: Any, size: int) -> dict[str, Callable[[], object]]:
    """Every query by name, ready to be called."""
    extent, places = influence_extent(connection), map_extent(connection)
    assert places is not None, "the synthetic run has a map"
    lasso = Brush(region=((-4, -6), (5, -5.5), (7, 0), (5, 5), (0, 7), (-5, 4), (-2, 0))).predicate()
    influence = Brush(influence=(2.0, 40.0)).predicate()
    edges = [2.0**power for power in range(-5, 12)]
    counts = strata_histogram(connection, edges)
    profile = profile_scores(connection, SelectionConfig())
    # Another alpha each time, as a hand on the slider asks for it.
    slider = (SelectionConfig(prune_rate=90 - step / 10, hardest_cut=5) for step in range(100))
    config = SelectionConfig(prune_rate=90, hardest_cut=5)
    occupancy = stratum_counts(connection, config, profile=profile)
    shares = [number(each.budget / each.count) if each.count else "0" for each in occupancy.strata]
    # As on a large run: the probability of being in; a small run has the exact rule instead.
    expected = bucket_expression("scored.influence", [each.high for each in occupancy.strata[:-1]], shares)
    rule = f"({select_sql(connection, config, profile=profile)})::INTEGER"
    selections = {"chosen": expected if size > SAMPLE_ROWS else rule, "random": "0.1"}
    return {
        "influence extent": lambda: influence_extent(connection),
        "summary": lambda: summary(connection, extent),
        "summary, lasso": lambda: summary(connection, extent, lasso),
        "histogram": lambda: histogram(connection, extent, Axis.LOG),
        "histogram, lasso": lambda: histogram(connection, extent, Axis.LOG, selected=lasso),
        "map extent": lambda: map_extent(connection),
        "density": lambda: density(connection, places),
        "density, influence brush": lambda: density(connection, places, selected=influence),
        "points": lambda: sample_points(connection, extent),
        "points, lasso": lambda: sample_points(connection, extent, selected=lasso),
        "points, influence brush": lambda: sample_points(connection, extent, selected=influence),
        "labels per stratum": lambda: category_shares(connection, CategoryColumn.LABEL, edges),
        "labels per stratum, lasso": lambda: category_shares(
            connection, CategoryColumn.LABEL, edges, selected=lasso
        ),
        "letters per stratum": lambda: letters(connection, edges, "ACGU", counts),
        "table page": lambda: table_page(connection, 0),
        "count, lasso": lambda: count_rows(connection, lasso),
        "table page, lasso": lambda: table_page(connection, 0, selected=lasso),
        "table page 1,000": lambda: table_page(connection, 999),
        "slider: budget per stratum": lambda: stratum_counts(connection, next(slider), profile=profile),
        "slider: rule of the coreset": lambda: select_sql(connection, next(slider), profile=profile),
        "slider: labels covered": lambda: category_coverage(connection, CategoryColumn.LABEL, selections),
        "slider: lengths covered": lambda: length_coverage(connection, selections),
        "one sequence": lambda: scored_sequence(connection, 4321),
        "neighbours": lambda: neighbours(connection, 4321),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("size", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the run is written, or found from before")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--letters", type=int, default=60, help="spread of sequence lengths")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from synthetic_run import open_synthetic_table, write_synthetic_run

    folder = given.folder or Path(tempfile.mkdtemp(prefix="bioprune-bench-"))
    started = time.perf_counter()
    run = write_synthetic_run(folder, given.size, letters=given.letters, keep=True)
    print(f"{given.size:,} rows in {folder}, ready after {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    connection = open_synthetic_table(run, given.threads)
    print(f"table ready after {time.perf_counter() - started:.1f} s")
    results = {}
    for name, ask in questions(connection, given.size).items():
        seconds, processor = [], []
        for _ in range(3):
            begun, before = time.perf_counter(), time.process_time()
            ask()
            seconds.append(time.perf_counter() - begun)
            processor.append(time.process_time() - before)
        best, work = min(seconds), min(processor)
        results[name] = {"first_s": round(seconds[0], 3), "best_s": round(best, 3), "cpu_s": round(work, 3)}
        print(
            f"{name:28} {seconds[0]:8.3f} s first {best:8.3f} s best {work:8.3f} s of processor", flush=True
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MiB")
    print(
        json.dumps(
            {"size": given.size, "threads": given.threads, "peak_mib": round(peak), "queries": results}
        )
    )


if __name__ == "__main__":
    main()
