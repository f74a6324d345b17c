"""Near-identical sequences, by their k-mers.

Two sequences are near-identical where the Jaccard index of their sets of k-mers (k = 8 of nucleic acids, 5 of
proteins) is at least 0.5: about 95 % identity of nucleic acids and 92 % of proteins, where substitutions are
spread evenly (a k-mer survives with probability identity^k). Candidates are pairs that share a quarter of
their 32 smallest k-mer hashes; of the pairs just at the bound 0.4 % do not (a binomial of 32 draws below 8).
Of candidates the index is exact.

Sequences are read in blocks, and the k-mers of candidates are made again when they are compared: those of a
whole pool would take eight times as much memory as its letters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bioprune_core.alphabet import Alphabet
from bioprune_core.hashing import mix_words
from bioprune_core.sequences.block import SequenceBlock

if TYPE_CHECKING:
    from bioprune_core.sequences.pool import Pool

__all__ = ["NEAR", "near_duplicate_clusters", "near_identical"]

NEAR = 0.5
"""The least Jaccard index of near-identical sequences."""
_SKETCH = 32
_LEAST_SHARED = 0.25
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_LARGEST = np.uint64((1 << 64) - 1)
# Orders of the k-mers by whose two smallest sequences are brought together: of pairs at the bound 90 % share
# them in one of 8 (0.5^2 in each), of pairs with an index of 0.8 all but 0.03 %.
_BANDS = 8
# Sequences that are read at once: two row groups of a pool.
_READ_AT_ONCE = 1 << 14
# Sequences, or pairs of them, whose k-mers are held at once: where all of 2,048 resemble all of 2,048 others,
# there are 4 million candidates.
_AT_ONCE = 1 << 11
_LETTERS_AT_ONCE = 1 << 18
# Pairs whose sequences are read at once. A reading may go through the whole pool, so where the pool is larger
# there are more pairs in each, a 32nd of its sequences, and not more readings.
_PAIRS_AT_ONCE, _PAIRS_SHARE = 1 << 16, 32


def near_identical(
    queries: "Sequence[str] | Pool",
    references: "Sequence[str] | Pool",
    alphabet: Alphabet,
    bound: float = NEAR,
) -> NDArray[np.bool_]:
    """Which queries are identical or near-identical to a reference; bool, shape (n,).

    Holds the letters and sketches of the fewer of both in memory; the others are read in blocks.

    Args:
        queries: n normalised sequences.
        references: m normalised sequences.
        alphabet: Of both.
        bound: Least Jaccard index, above 0 and at most 1.
    """
    asked, known = _readable(queries), _readable(references)
    found = np.zeros(len(asked), dtype=bool)
    if not len(asked) or not len(known):
        return found
    asked_held = len(asked) < len(known)
    held = [_Sketched.of(block, alphabet) for block in _blocks(asked if asked_held else known)]
    # Columns are the hashes of the block that is held; others cannot be shared with it.
    columns = [np.unique(other.hashes) for other in held]
    transposed = [other.matrix(hashes).T.tocsr() for other, hashes in zip(held, columns, strict=True)]
    for block in _blocks(known if asked_held else asked):
        read = _Sketched.of(block, alphabet)
        for other, hashes, others in zip(held, columns, transposed, strict=True):
            shared = (read.matrix(hashes) @ others).tocoo()
            least = _LEAST_SHARED * np.minimum(read.sizes[shared.row], other.sizes[shared.col])
            likely = shared.data >= least
            rows, other_rows = shared.row[likely], shared.col[likely]
            query = other.block.positions[other_rows] if asked_held else block.positions[rows]
            turns = _turns(query, shared.data[likely])
            for some in _ranges(block.lengths[rows[turns]] + other.block.lengths[other_rows[turns]]):
                pairs = turns[some]
                pairs = pairs[~found[query[pairs]]]
                index = _jaccard(block.take(rows[pairs]), other.block.take(other_rows[pairs]), alphabet)
                found[query[pairs[index >= bound]]] = True
    return found


def near_duplicate_clusters(sequences: "Sequence[str] | Pool", alphabet: Alphabet) -> NDArray[np.int64]:
    """A cluster for each sequence, int64, shape (n,): chains of near-identical sequences are one.

    Each is compared, exactly, with the first of those that share the two smallest k-mers in one of 8 orders;
    so of pairs just at the bound a tenth is missed, unless others connect them.

    Reads all sequences once for each order and up to 32 times to compare; holds about 60 bytes of each.

    Args:
        sequences: n normalised sequences.
        alphabet: Of all.
    """
    pool = _readable(sequences)
    at_once = max(_PAIRS_AT_ONCE, len(pool) // _PAIRS_SHARE)
    # Of every sequence a smaller one that it is connected with, or itself.
    parents = np.arange(len(pool), dtype=np.int64)
    for band in range(_BANDS):
        keys = np.zeros(len(pool), dtype=np.uint64)
        for block in _blocks(pool):
            keys[block.positions] = _band_keys(block, alphabet, band)
        firsts, others = _with_first(keys)
        del keys
        for start in range(0, len(firsts), at_once):
            one, other = firsts[start : start + at_once], others[start : start + at_once]
            _flatten(parents)
            apart = parents[one] != parents[other]
            one, other = one[apart], other[apart]
            near = _are_near(pool, one, other, alphabet)
            for pair in zip(one[near].tolist(), other[near].tolist(), strict=True):
                _connect(parents, *pair)
    _flatten(parents)
    return parents


def _readable(sequences: "Sequence[str] | Pool") -> "SequenceBlock | Pool":
    return SequenceBlock.from_strings(sequences) if isinstance(sequences, Sequence) else sequences


def _blocks(pool: "SequenceBlock | Pool") -> Iterator[SequenceBlock]:
    """All sequences in order, as many at once as may be compared."""
    for start in range(0, len(pool), _READ_AT_ONCE):
        read = pool.take(np.arange(start, min(start + _READ_AT_ONCE, len(pool)), dtype=np.int64))
        for some in _ranges(read.lengths):
            yield read.take(np.arange(some.start, some.stop))


def _ranges(letters: NDArray[np.int64]) -> Iterator[slice]:
    """Consecutive rows, as many at once as may be compared; at least one."""
    ends = np.cumsum(letters)
    start = 0
    while start < len(letters):
        full = int(np.searchsorted(ends, ends[start] - letters[start] + _LETTERS_AT_ONCE, side="right"))
        stop = min(max(full, start + 1), start + _AT_ONCE, len(letters))
        yield slice(start, stop)
        start = stop


@dataclass(frozen=True, slots=True)
class _Sketched:
    """Sequences with their smallest k-mer hashes.

    Args:
        block: n sequences.
        hashes: The up to 32 smallest of every sequence, end to end.
        sizes: How many each has, shape (n,).
    """

    block: SequenceBlock
    hashes: NDArray[np.uint64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, block: SequenceBlock, alphabet: Alphabet) -> Self:
        words, counts = _words(block, alphabet)
        hashes = _hashes(words)
        ends = np.cumsum(counts)
        # Row by row: numpy has no sort of segments.
        for start, stop in pairwise([0, *ends.tolist()]):
            hashes[start:stop].sort()
        starts = ends - counts
        new = np.ones(len(hashes), dtype=bool)
        new[1:] = hashes[1:] != hashes[:-1]
        new[starts] = True
        place = np.cumsum(new)
        small = new & (place - np.repeat(place[starts], counts) < _SKETCH)
        return cls(block, hashes[small], np.add.reduceat(small, starts, dtype=np.int64))

    def matrix(self, columns: NDArray[np.uint64]) -> csr_array:
        """Which of the columns, hashes in ascending order, are in each sketch; shape (n, columns)."""
        rows = np.repeat(np.arange(len(self.sizes)), self.sizes)
        places = np.minimum(np.searchsorted(columns, self.hashes), len(columns) - 1)
        there = columns[places] == self.hashes
        ones = np.ones(int(there.sum()), dtype=np.int32)
        return csr_array((ones, (rows[there], places[there])), shape=(len(self.sizes), len(columns)))


def _turns(queries: NDArray[np.int64], shared: NDArray[np.int32]) -> NDArray[np.int64]:
    """An order of candidates: the likeliest of every query, which mostly settles it; then each second."""
    by_query = np.lexsort((-shared, queries))
    first = np.ones(len(queries), dtype=bool)
    first[1:] = np.diff(queries[by_query]) != 0
    starts = np.flatnonzero(first)
    turns = np.arange(len(queries)) - np.repeat(starts, np.diff(starts, append=len(queries)))
    return by_query[np.argsort(turns, kind="stable")]


def _band_keys(block: SequenceBlock, alphabet: Alphabet, band: int) -> NDArray[np.uint64]:
    """What sequences have in common that share the two smallest k-mers in an order; shape (n,).

    Two pairs of k-mers have a key in common with a probability of 2^-64.
    """
    words, counts = _words(block, alphabet)
    starts = np.cumsum(counts) - counts
    ranks = mix_words(_hashes(words) ^ np.uint64(band * 0x632BE59BD9B4E019 & (1 << 64) - 1))
    smallest = np.minimum.reduceat(ranks, starts)
    ranks[ranks == np.repeat(smallest, counts)] = _LARGEST
    return mix_words(smallest) ^ np.minimum.reduceat(ranks, starts)


def _with_first(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of places: the first with a key, and each other with the same; those ascending.

    So one part of the pool after the other is read, and the firsts, most of which are early in a large pool.
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    del ordered
    starts = np.flatnonzero(new)
    firsts = np.empty_like(order)
    firsts[order] = np.repeat(order[starts], np.diff(starts, append=len(keys)))
    others = np.flatnonzero(firsts != np.arange(len(keys)))
    return firsts[others], others


def _are_near(
    pool: "SequenceBlock | Pool", one: NDArray[np.int64], other: NDArray[np.int64], alphabet: Alphabet
) -> NDArray[np.bool_]:
    """Which pairs of sequences at these places are near-identical, shape (pairs,)."""
    places, inverse = np.unique(np.concatenate([one, other]), return_inverse=True)
    block = pool.take(places)
    rows, other_rows = inverse[: len(one)], inverse[len(one) :]
    near = np.zeros(len(one), dtype=bool)
    for some in _ranges(block.lengths[rows] + block.lengths[other_rows]):
        near[some] = _jaccard(block.take(rows[some]), block.take(other_rows[some]), alphabet) >= NEAR
    return near


def _connect(parents: NDArray[np.int64], one: int, other: int) -> None:
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)


def _root(parents: NDArray[np.int64], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = int(parents[index])
    return index


def _flatten(parents: NDArray[np.int64]) -> None:
    """Make every parent a root."""
    while (parents[parents] != parents).any():
        parents[:] = parents[parents]


def _words(block: SequenceBlock, alphabet: Alphabet) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The k-mers of all sequences as words of at most 40 bits, end to end, and how many each sequence has.

    A sequence shorter than k is one word.
    """
    k = 5 if alphabet is Alphabet.PROTEIN else 8
    # Zeros before a short one: no letter is a zero.
    missing = np.maximum(k - block.lengths, 0)
    letters = np.insert(block.blob, np.repeat(block.offsets[:-1], missing), 0) & np.uint8(31)
    counts = block.lengths + missing - (k - 1)
    # Five bits a letter, so k letters fit into 40. Letter by letter it took more than twice as long.
    twos = letters[:-1].astype(np.uint16) << 5 | letters[1:]
    fours = twos[:-2].astype(np.uint32) << 10 | twos[2:]
    if alphabet is Alphabet.PROTEIN:
        packed = fours[:-1].astype(np.uint64) << 5 | letters[4:]
    else:
        packed = fours[:-4].astype(np.uint64) << 20 | fours[4:]
    # Words across the end of a sequence are none.
    within = np.arange(counts.sum()) + np.repeat(np.arange(len(counts)) * (k - 1), counts)
    return packed[within], counts


def _hashes(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # Multiplied by an odd constant and folded, distinct words stay distinct.
    mixed = words * _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(32))


def _jaccard(block: SequenceBlock, other: SequenceBlock, alphabet: Alphabet) -> NDArray[np.float64]:
    """Index of each sequence with the one of the same row in another block, shape (n,)."""
    kmers, other_kmers = _numbered(block, alphabet), _numbered(other, alphabet)
    both = np.sort(np.concatenate([kmers, other_kmers]))
    shared = _per_row(both[1:][both[1:] == both[:-1]], len(block))
    return shared / (_per_row(kmers, len(block)) + _per_row(other_kmers, len(block)) - shared)


def _numbered(block: SequenceBlock, alphabet: Alphabet) -> NDArray[np.uint64]:
    """Distinct k-mers of every row, each below the number of its row."""
    words, counts = _words(block, alphabet)
    words |= np.repeat(np.arange(len(counts), dtype=np.uint64) << np.uint64(40), counts)
    words.sort()
    new = np.ones(len(words), dtype=bool)
    new[1:] = words[1:] != words[:-1]
    return words[new]


def _per_row(numbered: NDArray[np.uint64], rows: int) -> NDArray[np.int64]:
    return np.bincount((numbered >> np.uint64(40)).astype(np.int64), minlength=rows)
