"""Bad input gets a sentence with file, place, reason and remedy, and leaves nothing behind."""

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from sequence_files import FORMATS, PACKINGS, Record, csv, fasta, fastq, parquet, stockholm

from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions, ingest
from bioprune_core.sequences.chunks import CHUNK_BYTES

RECORDS = [Record(f"r{row}", "ACGU" * (5 + row) + "G" * (row % 7)) for row in range(400)]


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.fa", ">a\nACGU\n")
    return stream.getvalue()


BAD_FILES = {
    "empty": (b"", r"in is empty"),
    "empty gzip": (gzip.compress(b""), r"in is empty"),
    "white space": (b"\n \n\t\n", r"white space only"),
    "binary": (bytes(range(256)) * 20, r"binary file"),
    "binary, packed": (gzip.compress(b"\x93NUMPY\0\0" * 99), r"binary file"),
    "UTF-16": (">a\nACGU\n".encode("utf-16"), r"UTF-16 text: save it as UTF-8"),
    "zip": (zipped(), r"zip archive: unpack it first"),
    "prose": (
        b"Dear colleague,\n\nplease find the sequences attached.\n",
        r"neither a sequence file nor a table",
    ),
    "one line of prose": (b"These are our sequences.\n", r"in no format that is read"),
    "sequence first": (b"ACGU\n>a\nACGU\n", r"sequence before the first header .* add the missing header"),
    "protein as RNA": (b">a\nMKVLAAGIV\n>b\nMEEPQSDPSV\n", r"in does not look like RNA.*record 1, a: 'L' at"),
    "nonsense letters": (b">a\n@@@@\n>b\n8888\n", r"does not look like RNA"),
    "header only": (b">a\n>b\n", r"No record is kept: of 2 records read, dropped were 2 no-sequence"),
    "table without sequences": (b"id,score\na,1\nb,2\n", r"no column looks like sequences.*sequence_column"),
    "table header only": (b"id,sequence\n", r"No record is kept: of 0 records read"),
    "ragged FASTQ": (b"@a\nACGU\n+\nIII\n", r"record 1 has a different number of letters and of qualities"),
    "cut FASTQ": (fastq(RECORDS[:3])[:-30], r"record 3 (ends after|has a different number)"),
    "wrong FASTQ": (fastq(RECORDS[:2]) + b"a\nACGU\n+\nIIII\n", r"record 3 does not begin with '@'"),
    "cut Stockholm": (stockholm(RECORDS[:9]).removesuffix(b"//\n"), r"within an alignment, at record 9"),
    "wrong Stockholm": (b"# STOCKHOLM 1.0\na ACGU\nb AC GU\n//\n", r"record 2 is no line of name and"),
    "cut Parquet": (parquet(RECORDS)[:-40], r"damaged Parquet"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_a_reason_and_nothing_is_left(tmp_path: Path, case: str) -> None:
    data, reason = BAD_FILES[case]
    (tmp_path / "in").write_bytes(data)
    with pytest.raises(InputError, match=reason):
        ingest(tmp_path / "in", tmp_path / "dataset", IngestOptions.from_json({"alphabet": "rna"}))
    assert not (tmp_path / "dataset").exists() or not list((tmp_path / "dataset").iterdir())


@pytest.mark.parametrize("packing", [name for name in PACKINGS if name not in ("none", "gzip padded")])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_file_is_refused_and_never_read_short(tmp_path: Path, packing: str, kind: str) -> None:
    data = PACKINGS[packing](FORMATS[kind](RECORDS))
    (tmp_path / "in").write_bytes(data[: len(data) - max(20, len(data) // 10)])
    with pytest.raises(InputError, match=r"ends in the middle of its .* data, after record \d+.* fetch"):
        ingest(tmp_path / "in", tmp_path / "dataset")


def test_the_record_before_a_truncation_is_named(tmp_path: Path) -> None:
    # Incompressible letters, so that the place of the cut is known.
    letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGU", np.uint8), 3_000_000).tobytes().decode()
    records = [Record(f"r{row}", letters[row * 1000 : (row + 1) * 1000]) for row in range(3000)]
    data = gzip.compress(fasta(records))
    (tmp_path / "in").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="after record ") as caught:
        ingest(tmp_path / "in", tmp_path / "dataset")
    record = int(caught.value.message.split("after record ")[1].split(".")[0].replace(",", ""))
    assert 1400 < record < 1600


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz", "zstd"])
def test_damaged_data_is_refused(tmp_path: Path, packing: str) -> None:
    data = bytearray(PACKINGS[packing](fasta(RECORDS)))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    (tmp_path / "in").write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"damaged|ends in the middle|before the first header"):
        ingest(tmp_path / "in", tmp_path / "dataset")


def test_bytes_after_packed_data_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(gzip.compress(fasta(RECORDS)) + b"and then some")
    with pytest.raises(InputError, match="damaged gzip data after record"):
        ingest(tmp_path / "in", tmp_path / "dataset")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_compressed_bomb_is_refused_early(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioprune_core.sequences.source._RATIO_FROM_BYTES", 1 << 20)
    (tmp_path / "in").write_bytes(pack(b">a" + (b"\n" + b"A" * 60) * 100_000))
    with pytest.raises(InputError, match=r"unpacks to more than 250 times its size.*maximum_ratio"):
        ingest(tmp_path / "in", tmp_path / "dataset")
    # With a higher limit it is a file like any other.
    ingest(tmp_path / "in", tmp_path / "dataset", IngestOptions(maximum_ratio=1e6))


def test_a_limit_on_bytes_counts_all_files(tmp_path: Path) -> None:
    for name in ("a.fa", "b.fa"):
        (tmp_path / name).write_bytes(b">a\n" + b"ACGU" * 100)
    both = [tmp_path / "a.fa", tmp_path / "b.fa"]
    ingest(both, tmp_path / "enough", IngestOptions(maximum_bytes=806))
    with pytest.raises(InputError, match=r"b.fa: the text passes the limit of 805 bytes"):
        ingest(both, tmp_path / "dataset", IngestOptions(maximum_bytes=805))


def test_missing_unreadable_and_special_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"absent.fa does not exist"):
        ingest(tmp_path / "absent.fa", tmp_path / "dataset")
    with pytest.raises(InputError, match="No input was given"):
        ingest([], tmp_path / "dataset")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="holds no sequence files"):
        ingest(tmp_path / "folder", tmp_path / "dataset")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is no regular file"):
        ingest(tmp_path / "pipe", tmp_path / "dataset")
    # Tests may run as root, who may read everything: the refusal itself is simulated.
    (tmp_path / "secret.fa").write_bytes(fasta(RECORDS))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"secret.fa cannot be read: Permission denied"):
        ingest(tmp_path / "secret.fa", tmp_path / "dataset")


def test_an_unreadable_file_of_a_folder_is_no_reason_to_skip_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.fa").write_bytes(fasta(RECORDS))
    data = gzip.compress(fasta(RECORDS))
    (tmp_path / "in" / "b.fa.gz").write_bytes(data[:-100])
    with pytest.raises(InputError, match=r"b.fa.gz ends in the middle"):
        ingest(tmp_path / "in", tmp_path / "dataset")


def test_a_mismatch_late_in_the_input_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(fasta(RECORDS))
    (tmp_path / "b.fa").write_bytes(b">p1\nMKLVVFF\n>p2\nMEEPQSD\n>n\nACGU\n")
    with pytest.raises(InputError, match=r"b.fa does not look like RNA: 2 of its first 3 records.*p1"):
        ingest([tmp_path / "a.fa", tmp_path / "b.fa"], tmp_path / "dataset")


@pytest.mark.parametrize("chunk_bytes", [1, 300, CHUNK_BYTES])
def test_rows_with_wrong_numbers_of_cells_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr("bioprune_core.sequences.readers.read_records.__defaults__", (chunk_bytes,))
    lines = csv(RECORDS[:50]).splitlines()
    lines.insert(3, b"broken")
    lines.insert(30, b"a,b,c,d,e")
    lines.append(b"last,ACGU")
    (tmp_path / "in.csv").write_bytes(b"\n".join(lines))
    report = ingest(tmp_path / "in.csv", tmp_path / "dataset")
    assert report.read == 53
    assert report.kept == 50
    malformed = report.dropped["malformed"]
    assert [(example.record, example.detail) for example in malformed.examples] == [
        (3, "1 cells instead of 3"),
        (30, "5 cells instead of 3"),
        (53, "2 cells instead of 3"),
    ]


def test_dot_bracket_records_without_three_lines_are_dropped_and_counted(tmp_path: Path) -> None:
    data = b"".join(b">r%d\nACGU%s\n(..)%s\n" % (row, b"A" * row, b"." * row) for row in range(20))
    (tmp_path / "in.dbn").write_bytes(data + b">short\nACGUACGU\n")
    report = ingest(tmp_path / "in.dbn", tmp_path / "dataset")
    assert (report.read, report.kept, report.dropped["malformed"].count) == (21, 20, 1)


def test_a_record_beyond_the_largest_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioprune_core.sequences.chunks.LARGEST_RECORD_BYTES", 1 << 20)
    (tmp_path / "in.fa").write_bytes(fasta(RECORDS[:2]) + b">long\n" + b"ACGU\n" * (1 << 21))
    with pytest.raises(InputError, match=r"the record after record \d is longer than 1,048,576 bytes"):
        ingest(tmp_path / "in.fa", tmp_path / "dataset")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"minimum_length": 0}, "at least 1"),
        ({"maximum_length": 3, "minimum_length": 4}, "maximum length 3 is below the minimum length 4"),
        ({"too_long": "window"}, "give a maximum length"),
        ({"too_long": "window", "maximum_length": 5, "window_overlap": 5}, "below the maximum length 5"),
        ({"window_overlap": 2, "maximum_length": 5}, "needs the length policy window"),
        ({"label_pattern": "("}, "not a regular expression"),
        ({"label_pattern": "a"}, "has 0 groups"),
        ({"label_pattern": "(a)", "label_column": "x"}, "choose one"),
        ({"alphabet": "xna"}, "unknown value"),
        ({"colour": "red"}, "Unknown ingest options: colour"),
        ({"maximum_ratio": 0.5}, "at least 1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        IngestOptions.from_json(options)


def test_a_missing_column_lists_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(csv(RECORDS[:5]))
    with pytest.raises(
        InputError, match=r"no column 'rna' for the sequence.*1 'id', 2 'sequence', 3 'score'"
    ):
        ingest(tmp_path / "in.csv", tmp_path / "dataset", IngestOptions(sequence_column="rna"))
    with pytest.raises(InputError, match="look like neither RNA, DNA nor protein"):
        ingest(tmp_path / "in.csv", tmp_path / "dataset", IngestOptions(sequence_column="score"))
