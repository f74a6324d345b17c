"""What only happens with more rows than fit into a buffer, provoked by small buffers."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bioprune_core.sequences import IngestOptions, Pool, ingest
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.duplicates import DuplicateFinder
from bioprune_core.sequences.identifiers import IdResolver, _hashes_and_numbers
from bioprune_core.sequences.spill import KEY, TALLIED_KEY, Partitions, RowSet, fold


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers of a few hundred rows everywhere."""
    package = "bioprune_core.sequences"
    for name, value in {
        "spill._HELD_BYTES": 4000,
        "spill._SLICE_ROWS": 7,
        "spill._SHARE_ROWS": 5,
        "spool.ROWS_PER_FILE": 300,
        "assemble.ROWS_PER_FILE": 300,
        "intake.ROWS_PER_FILE": 300,
        "parts.ROWS_PER_GROUP": 64,
        "parts.ROWS_PER_PART": 256,
        "parts.LETTERS_PER_GROUP": 3000,
    }.items():
        monkeypatch.setattr(f"{package}.{name}", value)
    monkeypatch.setattr(f"{package}.readers.read_records.__defaults__", (1 << 12,))


@pytest.mark.usefixtures("small_buffers")
def test_far_apart_duplicates_of_sequences_and_ids_are_found_across_spilled_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    distinct = ["".join(generator.choice(list("ACGU"), generator.integers(3, 90))) for _ in range(700)]
    rows = generator.integers(0, len(distinct), 4000).tolist()
    names = [f"id{number}" for number in generator.integers(0, 50, 4000)]
    path = tmp_path / "in.fa"
    path.write_text("".join(f">{name}\n{distinct[row]}\n" for name, row in zip(names, rows, strict=True)))

    report = ingest(path, tmp_path / "dataset")

    table = pq.read_table(tmp_path / "dataset" / "sequences")
    counts = Counter(distinct[row] for row in rows)
    assert table["sequence"].to_pylist() == list(counts)
    assert table["duplicates"].to_pylist() == list(counts.values())
    assert report.duplicates == 4000 - len(counts)
    firsts: dict[str, str] = {}
    for name, row in zip(names, rows, strict=True):
        firsts.setdefault(distinct[row], name)
    found, seen = table["id"].to_pylist(), Counter[str]()
    for sequence, name in zip(table["sequence"].to_pylist(), found, strict=True):
        seen[firsts[sequence]] += 1
        number = seen[firsts[sequence]]
        assert name == firsts[sequence] + (f"~{number}" if number > 1 else "")
    assert len(set(found)) == len(found)
    parts = sorted((tmp_path / "dataset" / "sequences").iterdir())
    assert len(parts) == -(-len(counts) // 256)
    assert all(pq.ParquetFile(part).metadata.num_rows == 256 for part in parts[:-1])


@pytest.mark.usefixtures("small_buffers")
def test_row_groups_close_early_for_long_sequences_and_the_pool_reads_them(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    sequences = [
        "".join(generator.choice(list("ACGU"), int(size))) for size in generator.integers(1, 2500, 400)
    ]
    sequences = list(dict.fromkeys(sequences))
    path = tmp_path / "in.fa"
    path.write_text("".join(f">{row}\n{sequence}\n" for row, sequence in enumerate(sequences)))
    ingest(path, tmp_path / "dataset", IngestOptions())
    pool = Pool.open(tmp_path / "dataset")
    for part in (tmp_path / "dataset" / "sequences").iterdir():
        metadata = pq.ParquetFile(part).metadata
        for group in range(metadata.num_row_groups):
            lengths = pq.ParquetFile(part).read_row_group(group, columns=["length"])["length"].to_numpy()
            assert lengths[:-1].sum() < 3000
    hashes = np.concatenate(list(pool.hashes()))
    for _ in range(30):
        start, stop = sorted(generator.integers(0, len(sequences) + 1, 2).tolist())
        block = pool.read(start, stop)
        assert [block.sequence(row) for row in range(len(block))] == sequences[start:stop]
        positions = np.sort(generator.choice(len(sequences), generator.integers(0, 50)))
        taken = pool.take(positions)
        assert [taken.sequence(row) for row in range(len(taken))] == [sequences[row] for row in positions]
        assert taken.positions.tolist() == positions.tolist()
        assert taken.hashes.tolist() == hashes[positions].tolist()


@pytest.mark.usefixtures("small_buffers")
def test_one_id_for_all_records_needs_no_memory_for_all(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    path = tmp_path / "in.fa"
    letters = ["".join(generator.choice(list("ACGU"), 30)) for _ in range(1500)]
    path.write_text("".join(f">same\n{sequence}\n" for sequence in letters))
    ingest(path, tmp_path / "dataset")
    names = pq.read_table(tmp_path / "dataset" / "sequences", columns=["id"])["id"].to_pylist()
    assert names == ["same", *(f"same~{number}" for number in range(2, 1501))]


@pytest.mark.usefixtures("small_buffers")
def test_partitions_give_back_what_they_got_in_order(tmp_path: Path) -> None:
    generator = np.random.default_rng(6)
    partitions, expected = Partitions(tmp_path, "test", KEY), dict[int, list[int]]()
    for start in range(0, 3000, 100):
        keys = np.zeros(100, dtype=KEY)
        keys["row"] = np.arange(start, start + 100)
        buckets = generator.integers(0, 9, 100)
        partitions.add(buckets, keys)
        for bucket, row in zip(buckets.tolist(), keys["row"].tolist(), strict=True):
            expected.setdefault(bucket, []).append(row)
    assert partitions.buckets() == sorted(expected)
    for bucket, rows in expected.items():
        assert partitions.all(bucket)["row"].tolist() == rows
        partitions.discard(bucket)
    assert partitions.buckets() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_buffers")
def test_shares_of_a_bucket_divide_its_rows_in_order_and_keep_equal_keys_together(tmp_path: Path) -> None:
    generator = np.random.default_rng(8)
    partitions = Partitions(tmp_path, "test", KEY)
    keys = np.zeros(700, dtype=KEY)
    keys["high"] = generator.integers(0, 1 << 64, 300, dtype=np.uint64)[generator.integers(0, 300, 700)]
    keys["row"] = np.arange(700)
    for start in range(0, 700, 70):
        partitions.add(np.zeros(70, dtype=np.uint8), keys[start : start + 70])
    shares = partitions.shares(0)
    assert shares == 140
    seen: dict[int, int] = {}
    rows: list[int] = []
    for share in range(shares):
        pieces = list(partitions.share(0, share, shares))
        found = np.concatenate(pieces)
        assert (np.diff(found["row"]) > 0).all()
        assert all(seen.setdefault(high, share) == share for high in found["high"].tolist())
        rows += found["row"].tolist()
    assert sorted(rows) == list(range(700))


def test_a_crowded_bucket_is_resolved_in_shares_that_fit_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioprune_core.sequences.spill._SHARE_ROWS", 1 << 17)
    monkeypatch.setattr("bioprune_core.sequences.spill._SLICE_ROWS", 1 << 16)
    monkeypatch.setattr("bioprune_core.sequences.spill._HELD_BYTES", 1 << 20)
    generator = np.random.default_rng(9)
    finder, count, block = DuplicateFinder(tmp_path, 1 << 18), 2_000_000, 50_000
    first = generator.integers(0, 1 << 64, (block, 2), dtype=np.uint64) & np.uint64(2**64 - 256)
    finder.add(first)
    for _ in range(count // block - 2):
        # Their lowest byte is 0, so that they are one bucket.
        finder.add(generator.integers(0, 1 << 64, (block, 2), dtype=np.uint64) & np.uint64(2**64 - 256))
    finder.add(first)
    tracemalloc.start()
    repeated = finder.resolve()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rows = np.arange(count)
    assert (repeated.has(rows) == (rows >= count - block)).all()
    assert finder.counts.all(0)["value"].tolist() == [2] * block
    assert finder.examples[count - block] == 0
    # The keys of the bucket take 48 MB, and resolving it whole took 270 MB.
    assert peak < 40e6


def test_equal_upper_halves_of_digests_do_not_make_equal_keys() -> None:
    keys = np.zeros(4, dtype=KEY)
    keys["high"], keys["low"], keys["row"] = [7, 7, 7, 1], [1, 2, 1, 1], [0, 1, 2, 3]
    table, again = fold(np.zeros(0, dtype=TALLIED_KEY), keys)
    assert again["row"].tolist() == [2]
    assert sorted(zip(table["row"].tolist(), table["count"].tolist(), strict=True)) == [
        (0, 2),
        (1, 1),
        (3, 1),
    ]


def test_a_row_set_is_a_set(tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    rows = generator.choice(1000, 200)
    found = RowSet(1000)
    found.add(rows)
    assert np.flatnonzero(found.has(np.arange(1000))).tolist() == sorted(set(rows.tolist()))


def test_new_numbers_avoid_ids_that_come_later(tmp_path: Path) -> None:
    resolver = IdResolver(tmp_path, 100)
    resolver.add(ByteStrings.from_list([b"a", b"a", b"a~2", b"a", b"a~2", b"b", b"a~4"]))
    resolver.resolve(None)
    values = resolver.numbers.all(0)
    assert dict(zip(values["row"].tolist(), values["value"].tolist(), strict=True)) == {1: 3, 3: 5, 4: 6}


def test_an_id_has_the_same_hash_whatever_stands_beside_it() -> None:
    plain = [b"a", b"long-name", b"b~x", b"x"]
    alone = [_hashes_and_numbers(ByteStrings.from_list([name])) for name in plain]
    together = _hashes_and_numbers(ByteStrings.from_list(plain))
    # A number that is left out makes gaps between the spans.
    spread = _hashes_and_numbers(
        ByteStrings.from_list([name + b"~7" * (row % 2) for row, name in enumerate(plain)])
    )
    assert together[0].tolist() == [int(hashes[0]) for hashes, _ in alone]
    assert spread[0].tolist() == together[0].tolist()
    assert together[1].tolist() == [1, 1, 1, 1]
    assert spread[1].tolist() == [1, 7, 1, 7]
