"""DuckDB reads the Parquet files that it is told to, and no others."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioprune_core.workspace.views import connect, create_view


@pytest.mark.parametrize("folder", ["lab?", "lab*", "lab[12]"])
def test_a_file_in_a_folder_named_as_a_pattern_is_read_alone(tmp_path: Path, folder: str) -> None:
    for number, name in enumerate(("lab1", folder)):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"number": [number]}), tmp_path / name / "part-00000.parquet")
    with connect() as connection:
        create_view(connection, "parts", [tmp_path / folder / "part-00000.parquet"])
        assert connection.sql("SELECT number FROM parts").fetchall() == [(1,)]
