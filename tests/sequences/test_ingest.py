"""From files to a pool: what goes in is either in the pool or counted."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.hashing import sequence_hash
from bioprune_core.sequences import IngestOptions, Pool, QualityReport, ingest
from bioprune_core.storage import read_json

FASTA = b""">a first one
ACGUACGU
ACGU
>b
acguuu
>c copy of a
ACGUACGUACGU
>d
>b another b
GGGGCCCC
>e
ACGQ
"""


def test_every_record_is_kept_or_counted_under_a_reason(tmp_path: Path) -> None:
    source = tmp_path / "in.fasta"
    source.write_bytes(FASTA)

    report = ingest(source, tmp_path / "dataset", IngestOptions())

    assert report.read == 6
    assert report.kept == report.sequences == 3
    assert {reason: count.count for reason, count in report.dropped.items()} == {
        "no-sequence": 1,
        "letters-outside-alphabet": 1,
        "duplicate": 1,
    }
    assert report.dropped["duplicate"].examples[0].detail == "same sequence as a"
    assert report.changed["id-disambiguated"].examples[0].detail == "became b~2"
    assert read_json(tmp_path / "dataset" / "report.json") == report.to_json()
    assert QualityReport.from_json(report.to_json()) == report


def test_the_pool_gives_back_sequences_by_position(tmp_path: Path) -> None:
    source = tmp_path / "in.fasta.gz"
    source.write_bytes(gzip.compress(FASTA))
    ingest([source], tmp_path / "dataset")

    pool = Pool.open(tmp_path / "dataset")

    sequences = ["ACGUACGUACGU", "ACGUUU", "GGGGCCCC"]
    assert [pool.read(0, 3).sequence(row) for row in range(3)] == sequences
    assert pool.take(np.array([0, 2])).positions.tolist() == [0, 2]
    assert np.concatenate(list(pool.hashes())).tolist() == [
        sequence_hash(sequence.encode()) for sequence in sequences
    ]
    with pytest.raises(InputError, match="Position 3 is not within"):
        pool.take(np.array([3]))


def test_an_ingest_that_failed_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in.fasta"
    source.write_bytes(b">a\nQQQQ\n")
    with pytest.raises(InputError, match="does not look like RNA"):
        ingest(source, tmp_path / "dataset", IngestOptions.from_json({"alphabet": "rna"}))
    assert list((tmp_path / "dataset").iterdir()) == []
    with pytest.raises(NotFoundError):
        Pool.open(tmp_path / "dataset")


def test_a_finished_dataset_is_not_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "in.fasta"
    source.write_bytes(FASTA)
    first = ingest(source, tmp_path / "dataset")
    assert ingest(source, tmp_path / "dataset") == first
    with pytest.raises(ConflictError, match="another directory"):
        ingest(source, tmp_path / "dataset", IngestOptions(minimum_length=7))
    source.write_bytes(FASTA.replace(b"A", b"C"))  # As many bytes as before.
    with pytest.raises(ConflictError, match=r"in\.fasta has changed since"):
        ingest(source, tmp_path / "dataset")
