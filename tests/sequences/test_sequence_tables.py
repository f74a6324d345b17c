"""Tables as people have them: what stands before the header, within a cell and in a column is no record."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sequence_files import Record

from bioprune_core.errors import InputError
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


@pytest.mark.parametrize("block", [200, 1 << 23])
@pytest.mark.parametrize("feed", ["\n", "\r\n", "\n\n"])
def test_line_breaks_within_quoted_cells_are_read_whatever_the_size_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: str, block: int
) -> None:
    # A block of Arrow's is as long as the longest row; a file of several blocks was refused.
    monkeypatch.setattr("bioprune_core.sequences.table.LARGEST_ROW_BYTES", block)
    monkeypatch.setattr("bioprune_core.sequences.readers.read_records.__defaults__", (block,))
    rows = [f'{record.id},"line one{feed}line ""two"", three",{record.sequence}' for record in RECORDS]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["id,comment,sequence", *rows, "broken"]), newline="")
    assert pool_of(path) == RECORDS
    (malformed,) = ingest(path, tmp_path / "dataset").dropped["malformed"].examples
    assert malformed.record == len(RECORDS) + 1


@pytest.mark.parametrize("block", [100, 1 << 23])
@pytest.mark.parametrize("row", ['x,"ACGU,\n', 'x,ACGU,"\n'])
def test_a_quote_that_is_not_closed_is_told_and_swallows_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, block: int
) -> None:
    monkeypatch.setattr("bioprune_core.sequences.table.LARGEST_ROW_BYTES", block)
    monkeypatch.setattr("bioprune_core.sequences.readers.read_records.__defaults__", (block,))
    good = "".join(f"{record.id},{record.sequence},ok\n" for record in RECORDS)
    path = tmp_path / "in.csv"
    path.write_text(f"id,sequence,comment\n{good}{row}{good}")
    with pytest.raises(InputError, match=r"of record 13 and nothing closes it|is not closed"):
        ingest(path, tmp_path / "dataset")


MASKED = {
    "RNA": ["ACGUACGUacguacgu", "acguACGUACGUACGG", "ACGUACGUACGUACGA"],
    "protein": ["MKVLmkvlMEEPQSD", "MEEPqsdpsvEPPLS", "mkvlaAGIVGLRMSE"],
}


@pytest.mark.parametrize(
    ("kind", "header"),
    [("RNA", "id,seq"), ("RNA", "id,rna"), ("RNA", "id,insert"), ("RNA", None), ("protein", "id,Sequence")],
)
def test_soft_masked_sequences_are_recognised(tmp_path: Path, kind: str, header: str | None) -> None:
    path = tmp_path / "in.csv"
    lines = [f"r{row},{letters}" for row, letters in enumerate(MASKED[kind])]
    path.write_text("\n".join([header, *lines] if header else lines))
    assert [record.sequence for record in pool_of(path)] == [letters.upper() for letters in MASKED[kind]]


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        ("protein,aa_seq", ["Insulin,MKVLAAGIVGLRMSE", "Collagen,MEEPQSDPSVEPPLS"]),
        ("sequence,letters", ["-,MKVLAAGIVGLRMSE", "-,MEEPQSDPSVEPPLS"]),
    ],
)
def test_names_and_dashes_are_no_sequences(tmp_path: Path, names: str, cells: list[str]) -> None:
    path = tmp_path / "in.csv"
    path.write_text("\n".join([names, *cells]))
    assert [record.sequence for record in pool_of(path)] == [cell.split(",")[1] for cell in cells]


@pytest.mark.parametrize("options", [IngestOptions(), IngestOptions(sequence_column="rna")])
def test_a_message_names_the_first_columns_of_a_wide_table(tmp_path: Path, options: IngestOptions) -> None:
    path = tmp_path / "in.csv"
    names = ["x" * 9000, *(f"gene{place}" for place in range(2, 4001))]
    path.write_text(f"{','.join(names)}\n{','.join(['0.5'] * 4000)}\n")
    with pytest.raises(InputError, match=r"1 'x{39}…', 2 'gene2', .*, 20 'gene20' and 3,980 more") as caught:
        ingest(path, tmp_path / "dataset", options)
    assert len(caught.value.message) < 600
