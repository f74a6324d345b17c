"""Tables as people have them: what stands before the header, within a cell and in a column is no record."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sequence_files import Record

from bioprune_core.sequences import IngestOptions, ingest

RECORDS = [Record(f"r{row}", "ACGU" * 5 + "G" * row) for row in range(12)]
ROWS = "".join(f"{record.id},{record.sequence}\n" for record in RECORDS)


def pool_of(path: Path, options: IngestOptions = IngestOptions()) -> list[Record]:  # noqa: B008 - frozen
    ingest(path, path.parent / "dataset", options)
    table = pq.read_table(path.parent / "dataset" / "sequences", columns=["id", "sequence"])
    return [Record(row["id"], row["sequence"]) for row in table.to_pylist()]


@pytest.mark.parametrize("header", ["id,sequence\n", '"id","sequence\n(5\' to 3\')"\n', ""])
@pytest.mark.parametrize("before", ["\n", "\r\n\r\n", "  \n", ",\n", "\ufeff\n"])
def test_blank_lines_before_a_table_are_no_records(tmp_path: Path, before: str, header: str) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"{before}{header}\n{ROWS}broken\n", newline="")
    assert pool_of(path) == RECORDS
    report = ingest(path, tmp_path / "dataset")
    assert report.alphabet == "rna"
    assert [example.record for example in report.dropped["malformed"].examples] == [len(RECORDS) + 1]
