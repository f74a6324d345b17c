"""The seeded order is the same in numpy, in SQL and in plain integers, and behaves like chance."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from bioprune_core.selection.ranking import sample_key, seeded_rank, seeded_rank_sql

EXTREMES = np.array([0, 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1], dtype=np.uint64)
INPUTS = {
    "row numbers": np.arange(200_000, dtype=np.uint64),
    "strided": np.arange(200_000, dtype=np.uint64) << np.uint64(40),
    "hashes": np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64),
}


@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_numpy_and_sql_give_the_same_ranks(seed: int) -> None:
    hashes = np.concatenate([EXTREMES, INPUTS["hashes"][:5_000]])
    connection = duckdb.connect()
    connection.register("ids", pa.table({"hash": hashes}))
    query = f"SELECT {seeded_rank_sql('hash', seed)} AS rank FROM ids"
    found = connection.execute(query).fetchnumpy()
    assert np.array_equal(found["rank"], seeded_rank(hashes, seed))


def test_one_round_is_the_middle_of_the_product() -> None:
    large = EXTREMES[EXTREMES >= 2**32]
    expected = [((int(value) * 0xBF58476D1CE4E5B9) >> 32) % 2**64 for value in large]
    assert sample_key(large).tolist() == expected


@pytest.mark.parametrize("name", INPUTS)
def test_a_sample_is_spread_over_all_rows(name: str) -> None:
    sampled = np.flatnonzero(sample_key(INPUTS[name]) < np.uint64(2**64 // 10))
    # Per block of rows 200 on average.
    assert np.bincount(sampled // 2_000, minlength=100).min() > 100
    assert np.bincount(sampled // 2_000, minlength=100).max() < 300


def test_ranks_never_change() -> None:
    # Coresets must come out the same with every version: these numbers were written down with the first.
    assert seeded_rank(np.array([0, 1, 2**64 - 1], dtype=np.uint64), 0).tolist() == [
        5362409972793529404,
        11964834410845813317,
        12798958622035066901,
    ]


@pytest.mark.parametrize("name", INPUTS)
def test_a_prefix_is_a_uniform_sample(name: str) -> None:
    ranks = seeded_rank(INPUTS[name], 11)
    assert len(np.unique(ranks)) == len(ranks)
    # Sampled rows per block of rows, and rows per interval of ranks: both as even as chance would have it.
    sampled = np.argsort(ranks)[:20_000]
    assert chi_squared(np.bincount(sampled // 2_000, minlength=100)) < 150
    assert chi_squared(np.bincount((ranks >> np.uint64(56)).astype(np.int64), minlength=256)) < 340


@pytest.mark.parametrize("name", INPUTS)
def test_seeds_are_independent(name: str) -> None:
    samples = [set(np.argsort(seeded_rank(INPUTS[name], seed))[:20_000].tolist()) for seed in range(6)]
    for index, first in enumerate(samples):
        for second in samples[index + 1 :]:
            # 2,000 shared rows on average, standard deviation 40.
            assert 1_800 < len(first & second) < 2_200


def chi_squared(counts: NDArray[np.int64]) -> float:
    return float(np.sum((counts - counts.mean()) ** 2) / counts.mean())
