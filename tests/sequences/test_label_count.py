"""An ingest that was asked for labels says how many it found, and says so where it found none."""

from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions, QualityReport, ingest
from bioprune_core.sequences.report import LabelCount
from bioprune_core.storage import read_json, write_json

FASTA = ">a RF1;\nACGUACGU\n>b RF2;\nACGUACGA\n>c RF1;\nACGUACGG\n>copy RF9;\nACGUACGU\n>d none\nACGUACCC\n"
TABLE = "id,sequence,fam,empty\na,ACGUAAAA,x,\nb,ACGUCCCC,,\nc,ACGUGGGG,x,\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in.fasta"
    path.write_text(FASTA)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text(TABLE)
    return path


def of_labels(report: QualityReport) -> list[str]:
    return [note for note in report.notes if "label:" in note]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (IngestOptions(label_pattern=r"(RF\d);"), LabelCount(3, 2)),
        (IngestOptions(label_pattern=r"(RF\d);", deduplicate=False), LabelCount(4, 3)),
        (IngestOptions(label_from_file_name=True), LabelCount(4, 1)),
        (IngestOptions(), None),
    ],
)
def test_labels_of_kept_sequences_are_counted_where_they_were_asked_for(
    fasta: Path, tmp_path: Path, options: IngestOptions, count: LabelCount | None
) -> None:
    report = ingest(fasta, tmp_path / "dataset", options)
    assert report.labels == count
    assert not of_labels(report)
    assert ingest(fasta, tmp_path / "dataset", options) == report, "read back from the dataset"


def test_the_labels_of_a_column_are_counted_whether_it_was_named_or_guessed(
    table: Path, tmp_path: Path
) -> None:
    assert ingest(table, tmp_path / "named", IngestOptions(label_column="fam")).labels == LabelCount(2, 1)
    table.write_text(TABLE.replace("fam", "family"))
    assert ingest(table, tmp_path / "guessed").labels == LabelCount(2, 1)


@pytest.mark.parametrize("batch", [60, 1 << 23])
def test_a_label_met_in_several_batches_and_spilled_to_disk_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr("bioprune_core.sequences.readers.read_records.__defaults__", (batch,))
    monkeypatch.setattr("bioprune_core.sequences.spill._HELD_BYTES", 300)
    monkeypatch.setattr("bioprune_core.sequences.spill._SHARE_ROWS", 2)
    path = tmp_path / "in.fasta"
    path.write_text("".join(f">s{row} f={row % 37}\nACGU{'A' * row}\n" for row in range(300)))
    report = ingest(path, tmp_path / "dataset", IngestOptions(label_pattern=r"f=(\d+)"))
    assert report.labels == LabelCount(300, 37)
    labels = pq.read_table(tmp_path / "dataset" / "sequences", columns=["label"])["label"].to_pylist()
    assert len(set(labels)) == 37
    assert not list((tmp_path / "dataset").rglob("*.rows"))


def test_a_pattern_that_matches_no_header_is_told(fasta: Path, tmp_path: Path) -> None:
    report = ingest(fasta, tmp_path / "dataset", IngestOptions(label_pattern="^(XX[0-9]+)"))
    assert report.labels == LabelCount(0, 0)
    (note,) = of_labels(report)
    assert note.startswith(
        "None of the 4 sequences has a label: the label pattern finds none in their headers."
    )


def test_a_column_without_a_label_is_told(table: Path, tmp_path: Path) -> None:
    report = ingest(table, tmp_path / "dataset", IngestOptions(label_column="empty"))
    assert report.labels == LabelCount(0, 0)
    (note,) = of_labels(report)
    assert note.startswith("None of the 3 sequences has a label: the column 'empty' has none for them.")


def test_a_report_of_before_labels_were_counted_is_read(fasta: Path, tmp_path: Path) -> None:
    options = IngestOptions(label_pattern=r"(RF\d);")
    report = ingest(fasta, tmp_path / "dataset", options)
    path = tmp_path / "dataset" / "report.json"
    old = read_json(path)
    assert old.pop("labels") == {"sequences": 3, "different": 2}
    write_json(path, old)
    found = ingest(fasta, tmp_path / "dataset", options)
    assert found.labels is None
    assert found.notes == report.notes


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("in.fasta", FASTA, "fasta"),
        ("in.fastq", "@a\nACGUACGU\n+\nIIIIIIII\n", "fastq"),
        ("in.dbn", ">a\nGGGAAACCC\n(((...)))\n", "dot-bracket"),
    ],
)
def test_a_label_column_of_a_file_without_columns_is_refused(
    tmp_path: Path, name: str, text: str, kind: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        ingest(path, tmp_path / "dataset", IngestOptions(label_column="fam"))
    assert refused.value.message.startswith(f"{name} ({kind}) has no columns, so that no column 'fam' can")
    assert "label pattern" in refused.value.message
    assert not (tmp_path / "dataset").exists()
    ingest(path, tmp_path / "dataset")


@pytest.mark.parametrize("packing", ["csv", "parquet"])
def test_a_label_column_is_refused_only_where_no_file_has_columns(
    fasta: Path, table: Path, tmp_path: Path, packing: str
) -> None:
    options = IngestOptions(label_column="fam")
    other = tmp_path / "other.fasta"
    other.write_text(">z\nGGGGGGGG\n")
    with pytest.raises(InputError, match=r"has no columns, nor has any other of the files, so"):
        ingest([fasta, other], tmp_path / "dataset", options)
    if packing == "parquet":
        pq.write_table(pyarrow.csv.read_csv(table), tmp_path / "in.parquet")
        table = tmp_path / "in.parquet"
    report = ingest([fasta, table], tmp_path / "dataset", options)
    assert report.labels == LabelCount(2, 1)
    assert report.sequences == 7
