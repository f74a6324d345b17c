"""Test sequences that were seen before: identical and near-identical ones, measured and left out.

Two sequences are near-identical where the Jaccard index of their sets of k-mers (k = 8 of nucleic acids, 5 of
proteins) is at least 0.5: about 95 % identity of nucleic acids and 92 % of proteins, where substitutions are
spread evenly (a k-mer survives with probability identity^k). Candidates are pairs that share a quarter of
their 32 smallest k-mer hashes; of the pairs just at the bound 0.4 % do not (a binomial of 32 draws below 8).
Of candidates the index is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.tasks.task import Part, TaskData

__all__ = ["NEAR", "Leakage", "measure_leakage", "near_identical", "without_leaks"]

NEAR = 0.5
"""The least Jaccard index of near-identical sequences."""
_SKETCH = 32
_LEAST_SHARED = 0.25
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Sequences that are compared at once: the shared hashes of 4,096 x 32 fit in the cache.
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Leakage:
    """How much of a test part was seen before.

    Args:
        test: Test sequences.
        in_train: How many are identical to a training or validation sequence.
        near_train: How many are identical or near-identical to one.
        in_pool: How many are identical to a sequence of the pool; None where no pool was given.
        near_pool: How many are identical or near-identical to one.
    """

    test: int
    in_train: int
    near_train: int
    in_pool: int | None
    near_pool: int | None


def measure_leakage(data: TaskData, pool: Sequence[str] | None = None) -> Leakage:
    """Compare a task's test sequences with those trained on, and with a pool.

    Args:
        data: Any task; of pairs of sequences both count.
        pool: Normalised sequences that networks are pretrained on; None for no pool.
    """
    alphabet = data.task.alphabet
    test = _sequences(data, Part.TEST)
    train = [*_sequences(data, Part.TRAIN), *_sequences(data, Part.VALIDATION)]
    seen = set(train)
    pooled = None if pool is None else set(pool)
    return Leakage(
        len(test),
        sum(sequence in seen for sequence in test),
        int(near_identical(test, train, alphabet).sum()),
        None if pooled is None else sum(sequence in pooled for sequence in test),
        None if pool is None else int(near_identical(test, pool, alphabet).sum()),
    )


def without_leaks(data: TaskData) -> TaskData:
    """The same test part; training and validation without what is near-identical to any of it.

    Raises:
        InputError: Nothing would be left of a part.
    """
    test = _sequences(data, Part.TEST)
    parts, removed = {Part.TEST: data.parts[Part.TEST]}, 0
    for part in (Part.TRAIN, Part.VALIDATION):
        examples = data.parts[part]
        leaks = near_identical(examples.sequences, test, data.task.alphabet)
        if examples.partners is not None:
            leaks &= near_identical(examples.partners, test, data.task.alphabet)
        if leaks.all():
            raise InputError(
                f"Task {data.task.name}: all {len(examples):,} examples of the {part.value} part are "
                "near-identical to test sequences, so nothing would be left of it. Divide the data "
                "in another way."
            )
        removed += int(leaks.sum())
        parts[part] = examples.take(np.flatnonzero(~leaks))
    source = f"{data.source} {removed:,} examples near-identical to test sequences were left out."
    return TaskData(data.task, {part: parts[part] for part in Part}, source)


def near_identical(
    queries: Sequence[str], references: Sequence[str], alphabet: Alphabet, bound: float = NEAR
) -> NDArray[np.bool_]:
    """Which queries are identical or near-identical to a reference; bool, shape (n,).

    Args:
        queries: n normalised sequences.
        references: m normalised sequences.
        alphabet: Of both.
        bound: Least Jaccard index, above 0.
    """
    known = set(references)
    found = np.array([query in known for query in queries], dtype=bool)
    left = np.flatnonzero(~found)
    if not len(left) or not references:
        return found
    query_kmers = [_kmers(queries[index], alphabet) for index in left.tolist()]
    # Columns of the sketches are the hashes that a query has; other hashes of references cannot be shared.
    columns = np.unique(np.concatenate([kmers[:_SKETCH] for kmers in query_kmers]))
    query_sketches = _sketches(query_kmers, columns)
    near = np.zeros(len(left), dtype=bool)
    for start in range(0, len(references), _AT_ONCE):
        kmers = [_kmers(reference, alphabet) for reference in references[start : start + _AT_ONCE]]
        shared = (query_sketches @ _sketches(kmers, columns).T).tocoo()
        least = _LEAST_SHARED * np.minimum(_sizes(query_kmers)[shared.row], _sizes(kmers)[shared.col])
        candidates = shared.data >= least
        pairs = (shared.row[candidates].tolist(), shared.col[candidates].tolist())
        for query, reference in zip(*pairs, strict=True):
            if not near[query]:
                near[query] = _jaccard(query_kmers[query], kmers[reference]) >= bound
    found[left[near]] = True
    return found


def _sequences(data: TaskData, part: Part) -> list[str]:
    examples = data.parts[part]
    return [*examples.sequences, *(examples.partners or ())]


def _kmers(sequence: str, alphabet: Alphabet) -> NDArray[np.uint64]:
    """Hashes of a sequence's distinct k-mers, ascending; of the whole where it is shorter than k."""
    k = 5 if alphabet is Alphabet.PROTEIN else 8
    letters = np.frombuffer(sequence.encode(), dtype=np.uint8).astype(np.uint64)
    k = min(k, len(letters))
    # Five bits a letter: k letters fit into 40 bits.
    packed = np.zeros(len(letters) - k + 1, dtype=np.uint64)
    for place in range(k):
        packed = (packed << np.uint64(5)) | (letters[place : place + len(packed)] & np.uint64(31))
    # Multiplied by an odd constant and folded, distinct words stay distinct.
    mixed = packed * _MULTIPLIER
    return np.unique(mixed ^ (mixed >> np.uint64(32)))


def _sketches(kmers: Sequence[NDArray[np.uint64]], columns: NDArray[np.uint64]) -> csr_array:
    """Which of the columns are among the smallest hashes of each sequence."""
    sketches = [hashes[:_SKETCH] for hashes in kmers]
    rows = np.repeat(np.arange(len(sketches)), [len(sketch) for sketch in sketches])
    words = np.concatenate(sketches)
    places = np.minimum(np.searchsorted(columns, words), len(columns) - 1)
    there = columns[places] == words
    ones = np.ones(int(there.sum()), dtype=np.int32)
    return csr_array((ones, (rows[there], places[there])), shape=(len(sketches), len(columns)))


def _sizes(kmers: Sequence[NDArray[np.uint64]]) -> NDArray[np.int64]:
    """Hashes in the sketch of each sequence."""
    return np.array([min(len(hashes), _SKETCH) for hashes in kmers], dtype=np.int64)


def _jaccard(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
