"""Every format in every packing gives the same pool."""

import gzip
import io
import itertools
import os
from pathlib import Path

import dnaio
import numpy as np
import pytest
from sequence_files import FORMATS, PACKINGS, WITHOUT_IDS, Record, fasta, fastq, parquet, wrapped_fasta

from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions, Pool, QualityReport, ingest, preview
from bioprune_core.sequences.fasta import read_fasta
from bioprune_core.sequences.fastq import read_fastq
from bioprune_core.sequences.file_names import stem
from bioprune_core.sequences.source import Limits, Source
from bioprune_core.storage import read_json


def some_records(count: int = 60, seed: int = 0) -> list[Record]:
    """Distinct RNA of 20 to 300 letters under ids with the punctuation of real ones."""
    generator = np.random.default_rng(seed)
    letters = np.array(list("ACGU"))
    return [
        Record(
            f"RF{row:05d}/{row}-{row + 9}.1", "".join(generator.choice(letters, generator.integers(20, 300)))
        )
        for row in range(count)
    ]


def ids_of(directory: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_table(directory / "sequences", columns=["id"]).column("id").to_pylist())


@pytest.mark.parametrize(("kind", "packing"), list(itertools.product(FORMATS, PACKINGS)))
def test_a_pool_does_not_depend_on_format_and_packing(tmp_path: Path, kind: str, packing: str) -> None:
    records = some_records()
    # The name says nothing: formats are told by content.
    path = tmp_path / "input.bin"
    path.write_bytes(PACKINGS[packing](FORMATS[kind](records)))

    report = ingest(path, tmp_path / "dataset")

    block = Pool.open(tmp_path / "dataset").read(0, len(records))
    assert [block.sequence(row) for row in range(len(block))] == [record.sequence for record in records]
    assert report.read == report.kept == len(records)
    assert report.alphabet == "rna"
    if kind not in WITHOUT_IDS:
        assert ids_of(tmp_path / "dataset") == [record.id for record in records]
    else:
        assert ids_of(tmp_path / "dataset")[:2] == ["input.bin:1", "input.bin:2"]


@pytest.mark.parametrize("chunk_bytes", [1, 17, 256, 1 << 20])
@pytest.mark.parametrize("write", [fasta, wrapped_fasta])
def test_fasta_records_are_those_of_the_reference_whatever_the_chunks(
    tmp_path: Path, write: object, chunk_bytes: int
) -> None:
    data = (fasta if write is fasta else wrapped_fasta)(some_records(25))
    path = tmp_path / "in"
    path.write_bytes(data)
    with Source(path, "in", Limits(1 << 40, 250)) as source:
        blocks = list(read_fasta(source, chunk_bytes))
    ours = [
        (name, letters.replace(b" ", b""))
        for block in blocks
        for name, letters in zip(block.ids.tolist(), block.letters.tolist(), strict=True)
    ]
    with dnaio.open(io.BytesIO(data), fileformat="fasta") as reader:
        theirs = [
            (record.name.split()[0].encode(), record.sequence.replace(" ", "").encode()) for record in reader
        ]
    assert ours == theirs
    assert np.concatenate([block.numbers for block in blocks]).tolist() == list(range(1, 26))


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
def test_fastq_records_are_those_of_the_reference_whatever_the_chunks(
    tmp_path: Path, chunk_bytes: int
) -> None:
    data = fastq(some_records(25))
    path = tmp_path / "in"
    path.write_bytes(data)
    with Source(path, "in", Limits(1 << 40, 250)) as source:
        blocks = list(read_fastq(source, chunk_bytes))
    ours = [
        (name + b" " + rest, letters)
        for block in blocks
        for name, rest, letters in zip(
            block.ids.tolist(), block.descriptions.tolist(), block.letters.tolist(), strict=True
        )
    ]
    with dnaio.open(io.BytesIO(data), fileformat="fastq") as reader:
        assert ours == [(record.name.encode(), record.sequence.encode()) for record in reader]


def test_ids_made_of_a_files_name_have_no_blanks_that_would_end_them_in_a_fasta_header(
    tmp_path: Path,
) -> None:
    path = tmp_path / "my  own\tseqs.txt"
    path.write_text("ACGU\nACGUU\n")
    ingest(path, tmp_path / "dataset")
    assert ids_of(tmp_path / "dataset") == ["my_own_seqs:1", "my_own_seqs:2"]


def test_old_line_ends_and_a_byte_order_mark_are_no_part_of_a_record(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes(b"\xef\xbb\xbf" + fasta(some_records(3)).replace(b"\n", b"\r"))
    ingest(path, tmp_path / "dataset")
    assert ids_of(tmp_path / "dataset") == [record.id for record in some_records(3)]


def test_columns_are_taken_by_name_and_by_number(tmp_path: Path) -> None:
    path = tmp_path / "in.tsv"
    path.write_text("x1\tACGUACGUAA\tGGGGCCCCUU\tsmall\nx2\tACGUACGUAC\tGGGGCCCCUA\tlarge\n")
    options = IngestOptions(sequence_column="3", id_column="2", label_column="4")
    ingest(path, tmp_path / "dataset", options)
    assert Pool.open(tmp_path / "dataset").read(0, 1).sequence(0) == "GGGGCCCCUU"
    assert ids_of(tmp_path / "dataset") == ["ACGUACGUAA", "ACGUACGUAC"]


def test_a_folder_is_read_in_order_of_names_and_skips_other_files_with_a_note(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    records = some_records(3)
    (folder / "b.fa").write_bytes(fasta(records[1:2]))
    (folder / "a.fa").write_bytes(fasta(records[:1]))
    (folder / "deep" / "c.csv").write_text(f"id,seq\n{records[2].id},{records[2].sequence}\n")
    (folder / "README").write_text("Made by a pipeline of ours.\n")
    (folder / ".hidden").write_bytes(b"\0\1")
    report = ingest(folder, tmp_path / "dataset")
    assert ids_of(tmp_path / "dataset") == [record.id for record in records]
    assert [file.name for file in report.files] == ["a.fa", "b.fa", "deep/c.csv"]
    assert any("README" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("README.md", b"# Data\n\nNote:\n> downloaded from Rfam\n", "sequence before the first header"),
        ("empty.fa", b"", "is empty"),
        ("empty.fa.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("notes.txt", b"\n \n\n", "white space only"),
    ],
)
def test_a_file_of_a_folder_without_sequences_is_skipped_with_a_note(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.fa").write_bytes(fasta(some_records(3)))
    (folder / name).write_bytes(content)
    report = ingest(folder, tmp_path / "dataset")
    assert [file.name for file in report.files] == ["a.fa"]
    assert any(
        note.startswith(f"Skipped in the folder in: {name}") and reason in note for note in report.notes
    )


def test_a_fasta_file_of_a_folder_without_its_first_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(fasta(some_records(3)))
    (tmp_path / "b.fa.gz").write_bytes(gzip.compress(b"ACGU\n>b\nACGUU\n"))
    with pytest.raises(InputError, match=r"b\.fa\.gz: there is a sequence before the first header"):
        ingest(tmp_path, tmp_path / "dataset")


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "x.fa" for folder in ("one", "two")]
    for path, record in zip(paths, some_records(2), strict=True):
        path.parent.mkdir()
        path.write_bytes(fasta([record]))
    report = ingest(paths, tmp_path / "dataset")
    assert [file.name for file in report.files] == ["one/x.fa", "two/x.fa"]


def test_names_that_are_not_utf8_are_written_so_that_they_stay_apart(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    folder = tmp_path / os.fsdecode(b"\xe9")
    folder.mkdir()
    first, second, third = some_records(3)
    for name, data in (
        (b"caf\xe8.fa", fasta([first])),
        (b"caf\xe9.fa", fasta([second])),
        (b"d\xe9.parquet", parquet([third])),
        (b"not\xe9s", b"Our notes.\n"),
    ):
        Path(folder, os.fsdecode(name)).write_bytes(data)
    report = ingest(folder, tmp_path / "dataset", IngestOptions(label_from_file_name=True))
    assert QualityReport.from_json(read_json(tmp_path / "dataset" / "report.json")) == report
    rows = pq.read_table(tmp_path / "dataset" / "sequences").to_pylist()
    assert [row["source"] for row in rows] == [r"caf\xe8.fa", r"caf\xe9.fa", r"d\xe9.parquet"]
    assert [row["label"] for row in rows] == [r"caf\xe8", r"caf\xe9", r"d\xe9"]
    assert any(
        note.startswith(r"Skipped in the folder \xe9: not\xe9s is in no format") for note in report.notes
    )
    assert preview(next(folder.glob("d*"))).name == r"d\xe9.parquet"
    with pytest.raises(InputError, match=r"abs\\xe9nt does not exist"):
        ingest(folder / os.fsdecode(b"abs\xe9nt"), tmp_path / "other")


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (IngestOptions(label_pattern=r"^(\w+);"), ["tRNA", "rRNA", None]),
        (IngestOptions(label_from_file_name=True), ["RF00050"] * 3),
        (IngestOptions(), [None] * 3),
    ],
)
def test_labels_come_from_headers_or_file_names(
    tmp_path: Path, options: IngestOptions, labels: list[str | None]
) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "RF00050.fa.gz"
    path.write_bytes(b">tRNA;a\nACGU\n>rRNA;b x\nACGUU\n>c\nACGUUU\n")
    ingest(path, tmp_path / "dataset", options)
    table = pq.read_table(tmp_path / "dataset" / "sequences")
    assert table.column("label").to_pylist() == labels
    assert table.column("source").to_pylist() == ["RF00050.fa.gz"] * 3
    assert table.column("description").to_pylist() == ["", "x", ""]


def test_the_energy_that_rnafold_writes_behind_a_structure_is_passed_over(tmp_path: Path) -> None:
    energies = ["( -5.40)", "(-12.30)", "(  0.00)"]
    records = some_records(3)
    path = tmp_path / "folded.txt"
    path.write_text(
        "".join(
            f">{record.id}\n{record.sequence}\n({'.' * (len(record.sequence) - 2)}) {energy}\n"
            for record, energy in zip(records, energies, strict=True)
        )
    )
    report = ingest(path, tmp_path / "dataset")
    assert report.files[0].format == "dot-bracket"
    assert (report.read, report.kept) == (3, 3)
    assert ids_of(tmp_path / "dataset") == [record.id for record in records]


def test_text_that_is_not_utf8_is_read_as_latin1(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "in.fa"
    path.write_bytes(b">a caf\xe9\nACGU\n>b \xc3\xa9t\xc3\xa9\nACGUU\n")
    ingest(path, tmp_path / "dataset")
    assert pq.read_table(tmp_path / "dataset" / "sequences").column("description").to_pylist() == [
        "café",
        "été",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RF00050.fa.gz", "RF00050"),
        ("RF.5S.fa", "RF.5S"),
        ("folder.of/E.coli.FASTA.ZST", "E.coli"),
        ("GCF_5.2_ASM.fna.gz", "GCF_5.2_ASM"),
        ("table.csv", "table"),
        ("release.14", "release.14"),
        ("names.fa.txt", "names.fa"),
        (".fa", ".fa"),
        (".fa.gz", ".fa"),
        ("plain", "plain"),
    ],
)
def test_a_label_is_a_files_name_without_the_endings_of_packing_and_format(name: str, expected: str) -> None:
    assert stem(name) == expected
