"""A shard of scores is one layout, whoever writes it, and needs no torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bioprune_core.influence.score_file import ScoreColumns, write_scores

COLUMNS = ScoreColumns(
    position=np.arange(7, 10),
    hash=np.array([3, 2**64 - 1, 0], dtype=np.uint64),
    influence=np.array([0.5, 1e300, 0.0]),
    loss=np.array([1, 2, 3], dtype=np.float32),
    tokens=np.array([4, 5, 1024], dtype=np.int32),
    gradient_norm=np.array([0.1, 0.2, 0.3]),
)


def test_writing_scores_imports_no_torch() -> None:
    script = "import sys; import bioprune_core.influence.score_file; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_scores_come_back_as_they_were_written(tmp_path: Path) -> None:
    halves = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    write_scores(replace(COLUMNS, halves=halves), tmp_path / "part.parquet")
    table = pq.read_table(tmp_path / "part.parquet")
    expected = {
        "position": COLUMNS.position,
        "hash": COLUMNS.hash,
        "influence": COLUMNS.influence,
        "loss": COLUMNS.loss,
        "tokens": COLUMNS.tokens,
        "gradient_norm": COLUMNS.gradient_norm,
        "influence_even": halves[0],
        "influence_odd": halves[1],
    }
    assert table.column_names == list(expected)
    for name, values in expected.items():
        found = table[name].to_numpy()
        assert found.dtype == values.dtype
        assert found.tolist() == values.tolist()


def test_what_does_not_shrink_is_not_packed_and_without_masks_there_are_no_halves(tmp_path: Path) -> None:
    write_scores(COLUMNS, tmp_path / "part.parquet")
    group = pq.ParquetFile(tmp_path / "part.parquet").metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    packing = {column.path_in_schema: column.compression for column in columns}
    assert packing == {
        "position": "ZSTD",
        "hash": "UNCOMPRESSED",
        "influence": "UNCOMPRESSED",
        "loss": "UNCOMPRESSED",
        "tokens": "ZSTD",
        "gradient_norm": "UNCOMPRESSED",
    }
