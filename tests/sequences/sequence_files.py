"""Sequence files for tests, in every format and packing."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard


@dataclass(frozen=True)
class Record:
    """One record to write."""

    id: str
    sequence: str


def fasta(records: Sequence[Record]) -> bytes:
    return "".join(f">{record.id} some words\n{record.sequence}\n" for record in records).encode()


def wrapped_fasta(records: Sequence[Record]) -> bytes:
    """Sixty letters a line, carriage returns, a space at line ends and empty lines between records."""
    text = []
    for record in records:
        text.append(f"> {record.id} \r\n")
        text += [f"{record.sequence[at : at + 60]} \r\n" for at in range(0, len(record.sequence), 60)]
        text.append("\r\n")
    return "".join(text).encode()


def fastq(records: Sequence[Record]) -> bytes:
    return "".join(
        f"@{record.id} lane 1\n{record.sequence}\n+\n{'@' * len(record.sequence)}\n" for record in records
    ).encode()


def csv(records: Sequence[Record]) -> bytes:
    rows = "".join(f"{record.id},{record.sequence},7\n" for record in records)
    return f"id,sequence,score\n{rows}".encode()


def semicolons(records: Sequence[Record]) -> bytes:
    """With an unnamed first column and a column of commas."""
    rows = "".join(f'{row};"{record.id}";a,b;{record.sequence}\n' for row, record in enumerate(records))
    return f";name;tags;seq\n{rows}".encode()


def headerless_tsv(records: Sequence[Record]) -> bytes:
    return "".join(f"{record.id}\t0.5\t{record.sequence}\n" for record in records).encode()


def parquet(records: Sequence[Record]) -> bytes:
    table = pa.table(
        {
            "score": pa.array([1.0] * len(records)),
            "id": pa.array([record.id for record in records], pa.large_string()),
            "sequence": pa.array([record.sequence for record in records]),
        }
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=7)
    return stream.getvalue()


def stockholm(records: Sequence[Record]) -> bytes:
    """Two alignments, each interleaved in two blocks, with gaps, annotation and structure lines."""
    half = max(1, len(records) // 2)
    text = []
    for group in (records[:half], records[half:]):
        if not group:
            continue
        width = max(len(record.sequence) for record in group)
        aligned = [(record.id, record.sequence + "-" * (width - len(record.sequence))) for record in group]
        text.append("# STOCKHOLM 1.0\n\n#=GF AC   RF00001\n#=GF ID   family\n")
        for part in (slice(0, width // 2), slice(width // 2, width)):
            text += [f"{name:40s} {letters[part]}\n" for name, letters in aligned if letters[part]]
            text.append(f"#=GC SS_cons {'.' * width}\n\n")
        text.append("//\n")
    return "".join(text).encode()


def dot_bracket(records: Sequence[Record]) -> bytes:
    def structure(length: int) -> str:
        return "(" + "." * (length - 2) + ")" if length > 2 else "." * length

    return "".join(
        f">{record.id}\n{record.sequence}\n{structure(len(record.sequence))}\n" for record in records
    ).encode()


def plain(records: Sequence[Record]) -> bytes:
    return "".join(f"{record.sequence}\n" for record in records).encode()


FORMATS: dict[str, Callable[[Sequence[Record]], bytes]] = {
    "fasta": fasta,
    "wrapped_fasta": wrapped_fasta,
    "fastq": fastq,
    "csv": csv,
    "semicolons": semicolons,
    "headerless_tsv": headerless_tsv,
    "parquet": parquet,
    "stockholm": stockholm,
    "dot_bracket": dot_bracket,
    "plain": plain,
}
WITHOUT_IDS = ("plain",)


def _in_two_members(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Packed in two pieces joined end to end, as bgzip and `cat` make them."""
    return lambda data: pack(data[: len(data) // 3]) + pack(data[len(data) // 3 :])


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "gzip members": _in_two_members(gzip.compress),
    "gzip padded": lambda data: gzip.compress(data) + bytes(1000),
    "bzip2 members": _in_two_members(bz2.compress),
    "xz members": _in_two_members(lzma.compress),
    "zstd members": _in_two_members(lambda data: zstandard.ZstdCompressor().compress(data)),
}
