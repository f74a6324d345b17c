"""A scored run of invented numbers in the real layout, at any size, for the explorer's tests."""

from pathlib import Path

import duckdb

from app.queries.run_table import open_run_table, write_run_table

__all__ = ["SyntheticRun", "open_synthetic_table", "open_synthetic_views", "write_synthetic_run"]

LABELS = 40
CLUSTERS = 24


class SyntheticRun:
    """The folders of one invented dataset and run under `root`."""

    def __init__(self, root: Path, size: int) -> None:
        self.size = size
        self.sequences = root / "datasets" / "dataset-synthetic" / "sequences"
        self.scores = root / "runs" / "run-synthetic" / "scores"
        self.map = root / "runs" / "run-synthetic" / "map"

    @property
    def views(self) -> dict[str, Path]:
        """The name of each view and the folder of its parts."""
        return {"pool": self.sequences, "scores": self.scores, "map": self.map}


def write_synthetic_run(
    root: Path, size: int, *, letters: int = 60, part: int = 262_144, keep: bool = False
) -> SyntheticRun:
    """Write sequences, scores and map of `size` rows; the same arguments give the same rows.

    Influence is log-normal with a heavy tail and grows with short length, as real scores do; every
    cluster is a Gaussian cloud on the map and most of a label's sequences lie in one cluster. With `keep`,
    parts that are already there are left as they are.
    """
    run = SyntheticRun(root, size)
    for folder in run.views.values():
        folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("SET preserve_insertion_order = true")
    for index, start in enumerate(range(0, size, part)):
        stop = min(size, start + part)
        for folder, query in _parts(start, stop, letters).items():
            target = run.views[folder] / f"part-{index:05d}.parquet"
            if keep and target.exists():
                continue
            connection.execute(
                f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192)"
            )
    connection.close()
    return run


def open_synthetic_views(run: SyntheticRun, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the views `pool`, `scores` and `map`, as the workspace opens them."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    for name, folder in run.views.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{folder}/part-*.parquet')")
    return connection


def open_synthetic_table(run: SyntheticRun, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """The run as the explorer opens it; the table is written on the first call."""
    table = run.scores.parent / "explore.duckdb"
    if not table.exists():
        write_run_table(lambda: open_synthetic_views(run, threads), table)
    return open_run_table(table, run.sequences, threads=threads)


def _hash(salt: int) -> str:
    # Of text: DuckDB combines the hashes of several numbers so plainly that two salts would correlate.
    return f"hash(p::VARCHAR || ':{salt}')"


def _uniform(salt: int) -> str:
    return f"(({_hash(salt)} & 4294967295) + 1) / 4294967297.0"


def _normal(salt: int) -> str:
    """Box and Muller's transform of two hashed uniforms."""
    return f"(sqrt(-2 * ln({_uniform(salt)})) * cos(2 * pi() * {_uniform(salt + 1)}))"


def _parts(start: int, stop: int, letters: int) -> dict[str, str]:
    base = (
        f"SELECT p, {_hash(99)} AS h, ({_hash(7)} % {CLUSTERS})::INTEGER AS c, "
        f"(20 + {letters} * pow({_uniform(11)}, 2))::INTEGER AS n, {_normal(20)} AS z, {_normal(30)} AS u, "
        f"{_normal(40)} AS w, {_normal(50)} AS v, ({_hash(8)} & 1023) AS r FROM range({start}, {stop}) t(p)"
    )
    family = f"CASE WHEN r < 800 THEN (c * 2 + r % 2) % {LABELS} ELSE r % {LABELS} END"
    return {
        "pool": "SELECT p AS position, 'seq-' || lpad(p::VARCHAR, 8, '0') AS id, "
        "'synthetic' AS description, "
        f"CASE WHEN r >= 1000 THEN NULL ELSE 'RF' || lpad(({family})::VARCHAR, 5, '0') END AS label, "
        "'synthetic.fasta' AS source, "
        "substr(repeat(translate(md5(p::VARCHAR), '0123456789abcdef', 'ACGUACGUACGUACGU'), 40), 1, n) "
        f"AS sequence, n AS length, h AS hash, 1::INTEGER AS duplicates FROM ({base}) ORDER BY p",
        "scores": "SELECT p AS position, h AS hash, "
        "exp(3.2 + 1.1 * z + 0.25 * z * z - 0.4 * ln(n)) AS influence, "
        "(1.1 + 0.18 * u + 0.06 * z)::FLOAT AS loss, (n + 2)::INTEGER AS tokens, "
        f"exp(0.3 * z + 0.1 * u) AS gradient_norm FROM ({base}) ORDER BY p",
        "map": "SELECT p AS position, (8 * cos(2.4 * c) * sqrt(c + 1) / 4 + 0.7 * w)::FLOAT AS x, "
        f"(8 * sin(2.4 * c) * sqrt(c + 1) / 4 + 0.7 * v)::FLOAT AS y, c AS cluster FROM ({base}) ORDER BY p",
    }
