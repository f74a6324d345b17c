"""A preview says what a file seems to be, cheaply, and helps to choose what cannot be guessed."""

import gzip
import json
from pathlib import Path

import pytest
from sequence_files import FORMATS, WITHOUT_IDS, Record

from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions, preview
from bioprune_core.sequences.source import Source

RECORDS = [Record(f"r{row}", "ACGU" * 10 + "G" * row) for row in range(30)]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_first_records_are_shown_in_every_format(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in.gz").write_bytes(gzip.compress(FORMATS[kind](RECORDS)))
    shown = preview(tmp_path / "in.gz", rows=5)
    assert shown.alphabet == "rna"
    assert shown.compression == "gzip"
    assert len(shown.records) == 5
    assert [record.sequence.strip("-") for record in shown.records] == [r.sequence for r in RECORDS[:5]]
    if kind not in WITHOUT_IDS:
        assert [record.id for record in shown.records] == [record.id for record in RECORDS[:5]]
    json.dumps(shown.to_json())


def test_a_table_without_a_recognisable_column_shows_its_columns(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("key,value\n1,one thing\n2,another\n")
    shown = preview(tmp_path / "in.csv")
    assert shown.columns == ("key", "value")
    assert shown.sequence_column is None
    assert shown.cells == (("1", "one thing"), ("2", "another"))
    assert "sequence_column" in shown.notes[0]


def test_a_chosen_column_is_honoured(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,sequence,target\na,ACGUACGU,MKVLMKVL\nb,ACGUACGG,MKVLMKVI\n")
    assert preview(tmp_path / "in.csv").sequence_column == "sequence"
    shown = preview(tmp_path / "in.csv", options=IngestOptions(sequence_column="target"))
    assert (shown.sequence_column, shown.id_column, shown.alphabet) == ("target", "id", "protein")


def test_a_preview_reads_only_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.fa").write_bytes(b"".join(b">r%d\n%s\n" % (row, b"ACGU" * 50) for row in range(100_000)))
    read: list[int] = []
    original = Source._raw

    def counted(self: Source, count: int) -> bytes:
        data = original(self, count)
        read.append(len(data))
        return data

    monkeypatch.setattr(Source, "_raw", counted)
    assert len(preview(tmp_path / "in.fa").records) == 20
    assert sum(read) < 4 << 20 < (tmp_path / "in.fa").stat().st_size


def test_what_cannot_be_previewed_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        preview(tmp_path)
    (tmp_path / "in").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        preview(tmp_path / "in")
    (tmp_path / "odd.fa").write_bytes(b">a\n????\n")
    shown = preview(tmp_path / "odd.fa")
    assert shown.alphabet is None
    assert "neither RNA, DNA nor protein" in shown.notes[0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_short_file_is_shown_to_its_last_record(tmp_path: Path, count: int) -> None:
    path = tmp_path / "few.fasta"
    path.write_text("".join(f">r{number}\nACGU\n" for number in range(count)))
    assert [record.id for record in preview(path).records] == [f"r{number}" for number in range(count)]
