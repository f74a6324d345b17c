from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioprune_core.jobs.row_digest import RowDigest

ROWS = 1_000


@pytest.fixture
def scores() -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table(
        {
            "position": np.arange(ROWS),
            "hash": random.integers(0, 1 << 64, ROWS, dtype=np.uint64),
            "influence": random.lognormal(size=ROWS),
            "loss": random.uniform(1, 2, ROWS).astype(np.float32),
        }
    )


def digest(*paths: Path) -> str:
    rows = RowDigest()
    for path in paths:
        rows.add(path)
    return rows.hexdigest()


def test_it_is_that_of_the_rows_however_they_are_written(scores: pa.Table, tmp_path: Path) -> None:
    whole, first, second = (tmp_path / name for name in ("whole", "first", "second"))
    pq.write_table(scores, whole)
    pq.write_table(scores.slice(0, 300), first, compression="none", row_group_size=64)
    pq.write_table(scores.slice(300), second, use_dictionary=False, version="1.0", store_schema=False)
    assert digest(whole) == digest(first, second)


@pytest.mark.parametrize("column", [0, 1, 2, 3])
def test_another_value_is_another_digest(scores: pa.Table, tmp_path: Path, column: int) -> None:
    pq.write_table(scores, tmp_path / "one")
    name, values = scores.column_names[column], scores.column(column).to_numpy().copy()
    values.view(np.uint8)[-8] ^= 1
    pq.write_table(scores.set_column(column, name, [values]), tmp_path / "other")
    pq.write_table(scores.rename_columns([*"abcd"]), tmp_path / "renamed")
    assert len({digest(tmp_path / name) for name in ("one", "other", "renamed")}) == 3
