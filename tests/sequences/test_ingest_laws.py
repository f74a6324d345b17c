"""Laws that hold for any input: nothing is lost, and the same input gives the same pool."""

import gzip
import itertools
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioprune_core.alphabet import Alphabet
from bioprune_core.hashing import sequence_digest, sequence_hash
from bioprune_core.sequences import IngestOptions, LengthPolicy, Pool, QualityReport, ingest
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.duplicates import digests
from bioprune_core.sequences.windows import window_starts

RNA = IngestOptions(alphabet=Alphabet.RNA)

# Few letters and ids, so that duplicates of both kinds are common; X drops a record, - and * vanish.
sequences = st.text("ACGTUacgunR-*X", max_size=12)
ids = st.sampled_from(["a", "b", "a~2", "a~3", "a~2~2", "b~02", "~", "x y", "", "é"])
records = st.lists(st.tuples(ids, sequences), max_size=25)


def fasta(items: list[tuple[str, str]]) -> bytes:
    return "".join(f">{name}\n{sequence}\n" for name, sequence in items).encode()


def pool_of(directory: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(directory / "sequences").to_pylist()
    return rows


@given(records, st.integers(1, 3), st.sampled_from([None, 4, 7]), st.sampled_from(list(LengthPolicy)))
@settings(max_examples=60, deadline=None)
def test_read_is_kept_plus_dropped_and_every_row_is_accounted_for(
    items: list[tuple[str, str]], minimum: int, maximum: int | None, too_long: LengthPolicy
) -> None:
    # A good record keeps the file from being refused as empty or as another alphabet.
    items = [*items, *(("good", "ACGUACG"[:5]) for _ in range(len(items) + 1))]
    options = IngestOptions(
        alphabet=Alphabet.RNA,
        minimum_length=minimum,
        maximum_length=maximum,
        too_long=too_long if maximum else LengthPolicy.DROP,
    )
    if maximum == 4 and too_long is LengthPolicy.DROP:
        items.append(("good", "ACGU"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in.fa")
        path.write_bytes(fasta(items))
        report = ingest(path, Path(folder, "dataset"), options)
        rows = pool_of(Path(folder, "dataset"))
    expected = _expected(items, options)

    assert report.read == len(items)
    assert report.read == report.kept + sum(count.count for count in report.dropped.values())
    assert [row["sequence"] for row in rows] == list(expected)
    assert [row["duplicates"] for row in rows] == list(expected.values())
    assert len({row["id"] for row in rows}) == len(rows)
    assert [row["position"] for row in rows] == list(range(len(rows)))
    assert [row["hash"] for row in rows] == [sequence_hash(str(row["sequence"]).encode()) for row in rows]
    assert [row["length"] for row in rows] == [len(str(row["sequence"])) for row in rows]
    assert QualityReport.from_json(report.to_json()) == report


def _expected(items: list[tuple[str, str]], options: IngestOptions) -> Counter[str]:
    """The pool by the plainest means: sequences in order of their first record, with how often they come."""
    counts: Counter[str] = Counter()
    for _, written in items:
        sequence = written.upper().replace("T", "U").replace("-", "").rstrip("*")
        if not set(sequence) <= set("ACGURYKMSWBDHVN") or len(sequence) < options.minimum_length:
            continue
        maximum = options.maximum_length
        if maximum is None or len(sequence) <= maximum:
            counts[sequence] += 1
        elif options.too_long is LengthPolicy.TRUNCATE:
            counts[sequence[:maximum]] += 1
        elif options.too_long is LengthPolicy.WINDOW:
            counts.update(
                sequence[start : start + maximum] for start in window_starts(len(sequence), maximum, 0)
            )
    return counts


@given(records)
@settings(max_examples=30, deadline=None)
def test_the_pool_written_as_fasta_is_ingested_to_the_same_pool(items: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (
            ("first", [*items, ("good", "ACGU"), *[("g", "ACGUA")] * len(items)]),
            ("second", []),
        ):
            path = Path(folder, f"{name}.fa")
            if name == "second":
                rows = pool_of(Path(folder, "first"))
                lines = [f">{row['id']} {row['description']}\n{row['sequence']}\n" for row in rows]
                path.write_text("".join(lines))
            else:
                path.write_bytes(fasta(content))
            ingest(path, Path(folder, name), RNA)
        first, second = pool_of(Path(folder, "first")), pool_of(Path(folder, "second"))
        hashes = [Pool.open(Path(folder, name)).content_hash for name in ("first", "second")]
    for column in ("id", "description", "sequence", "hash", "position"):
        assert [row[column] for row in first] == [row[column] for row in second]
    assert hashes[0] == hashes[1]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    items = [
        (f"r{row % 900}", "".join(generator.choice(list("ACGU"), generator.integers(1, 40))))
        for row in range(3000)
    ]
    path = tmp_path / "in.fa"
    path.write_bytes(fasta(items))
    parts = []
    for run in ("one", "two"):
        ingest(path, tmp_path / run, RNA)
        parts.append([part.read_bytes() for part in sorted((tmp_path / run / "sequences").iterdir())])
    assert parts[0] == parts[1]


def test_chunks_and_packing_do_not_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    items = [(f"r{row}", "".join(generator.choice(list("ACGU"), 50))) for row in range(500)]
    parts = []
    for run, (chunk, pack) in enumerate(itertools.product((300, 5000, 1 << 22), (bytes, gzip.compress))):
        # Default arguments are bound early, so the readers' own are replaced.
        monkeypatch.setattr("bioprune_core.sequences.readers.read_records.__defaults__", (chunk,))
        path = tmp_path / str(run) / "in.fa"
        path.parent.mkdir()
        path.write_bytes(pack(fasta(items)))
        ingest(path, tmp_path / str(run) / "dataset", RNA)
        parts.append((tmp_path / str(run) / "dataset" / "sequences" / "part-00000.parquet").read_bytes())
    assert len(set(parts)) == 1


def test_the_content_hash_tells_sequences_order_and_alphabet_apart(tmp_path: Path) -> None:
    def content_hash(name: str, text: bytes, options: IngestOptions = RNA) -> str:
        (tmp_path / f"{name}.fa").write_bytes(text)
        ingest(tmp_path / f"{name}.fa", tmp_path / name, options)
        return Pool.open(tmp_path / name).content_hash

    base = content_hash("base", b">a\nACGG\n>b\nGGCC\n")
    assert content_hash("other ids", b">c\nACGG\n>d e\nGGCC\n") == base
    assert content_hash("with duplicates", b">c\nACGG\n>c\nACGG\n>d e\nGGCC\n") == base
    assert content_hash("order", b">b\nGGCC\n>a\nACGG\n") != base
    assert content_hash("letters", b">a\nACGG\n>b\nGGCA\n") != base
    assert content_hash("DNA", b">a\nACGG\n>b\nGGCC\n", IngestOptions(alphabet=Alphabet.DNA)) != base


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_block_digests_are_those_of_the_single_sequence(strings: list[bytes]) -> None:
    words = digests(ByteStrings.from_list(strings))
    assert [row.tobytes() for row in words] == [sequence_digest(string) for string in strings]


@given(records)
@settings(max_examples=20, deadline=None)
def test_options_do_what_they_say_after_a_round_trip_through_json(items: list[tuple[str, str]]) -> None:
    options = IngestOptions(
        alphabet=Alphabet.RNA, maximum_length=5, too_long=LengthPolicy.WINDOW, window_overlap=2
    )
    assert IngestOptions.from_json(options.to_json()) == options
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "in.fa"
        path.write_bytes(fasta([*items, *[("good", "ACGUACG")] * (len(items) + 1)]))
        one = ingest(path, folder / "one", options)
        two = ingest(path, folder / "two", IngestOptions.from_json(options.to_json()))
        assert one == two
    finally:
        shutil.rmtree(folder)
