"""Near-identical sequences, by their k-mers.

Two sequences are near-identical where the Jaccard index of their sets of k-mers (k = 8 of nucleic acids, 5 of
proteins) is at least 0.5: about 95 % identity of nucleic acids and 92 % of proteins, where substitutions are
spread evenly (a k-mer survives with probability identity^k). Candidates are pairs that share a quarter of
their 32 smallest k-mer hashes; of the pairs just at the bound 0.4 % do not (a binomial of 32 draws below 8).
Of candidates the index is exact.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bioprune_core.alphabet import Alphabet
from bioprune_core.hashing import mix_words

__all__ = ["NEAR", "near_duplicate_clusters", "near_identical"]

NEAR = 0.5
"""The least Jaccard index of near-identical sequences."""
_SKETCH = 32
_LEAST_SHARED = 0.25
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Sequences that are compared at once: the shared hashes of 4,096 x 32 fit in the cache.
_AT_ONCE = 4096
# Orders of the k-mers by whose two smallest sequences are brought together: of pairs at the bound 90 % share
# them in one of 8 (0.5^2 in each), of pairs with an index of 0.8 all but 0.03 %.
_BANDS, _SMALLEST = 8, 2


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


def near_duplicate_clusters(sequences: Sequence[str], alphabet: Alphabet) -> NDArray[np.int64]:
    """A cluster for each sequence, int64, shape (n,): chains of near-identical sequences are one.

    Each is compared, exactly, with the first of those that share the two smallest k-mers in one of 8 orders;
    so of pairs just at the bound a tenth is missed, unless others connect them.

    Args:
        sequences: n normalised sequences.
        alphabet: Of all.
    """
    parents = np.arange(len(sequences))
    kmers = [_kmers(sequence, alphabet) for sequence in sequences]
    for band in range(_BANDS):
        shift = np.uint64(band * 0x632BE59BD9B4E019 & (1 << 64) - 1)
        firsts: dict[bytes, int] = {}
        for index, hashes in enumerate(kmers):
            ranks = mix_words(hashes ^ shift)
            count = min(_SMALLEST, len(ranks))
            key = np.sort(np.partition(ranks, count - 1)[:count]).tobytes()
            first = firsts.setdefault(key, index)
            one, other = _root(parents, first), _root(parents, index)
            if one != other and _jaccard(kmers[first], hashes) >= NEAR:
                parents[max(one, other)] = min(one, other)
    return np.array([_root(parents, index) for index in range(len(sequences))], dtype=np.int64)


def _root(parents: NDArray[np.int64], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = int(parents[index])
    return index


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
