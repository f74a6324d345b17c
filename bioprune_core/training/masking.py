"""The masker: which tokens a masked language model has to predict, and what it sees in their place.

Every random number is a function of (seed, sequence hash, draw, place in the sequence, purpose) through
SplitMix64, a counter-based generator. A sequence therefore gets the same mask in whatever batch, order,
process or machine, and no generator state has to be stored to resume.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.hashing import mix_words

__all__ = ["EVALUATION_DRAW", "MaskedTokens", "mask_tokens", "unit_interval"]

EVALUATION_DRAW = (1 << 63) - 1
"""The draw of masks that measure; epochs count from 0 and never reach it."""

_MASKED_SHARE = 0.8
_RANDOM_SHARE = 0.1
_GOLDEN = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1
# Three independent numbers a token (which are targets, what replaces them, by which residue).
_STREAMS = 3


@dataclass(frozen=True, slots=True)
class MaskedTokens:
    """A masked copy of flat tokens.

    Args:
        inputs: What the model sees; dtype and shape (tokens,) as given.
        targets: True where the original token is to be predicted, bool, shape (tokens,).
    """

    inputs: NDArray[np.integer]
    targets: NDArray[np.bool_]


def mask_tokens(
    tokens: NDArray[np.integer],
    offsets: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    *,
    residue_ids: NDArray[np.integer],
    mask_id: int,
    seed: int,
    draw: int,
    rate: float = 0.15,
) -> MaskedTokens:
    """Choose targets among the residues; 80 % become the mask, 10 % a random residue, 10 % stay.

    Special tokens and ambiguous letters are neither targets nor replacements. A sequence of n residues has
    rate * n targets, rounded up or down at random so that the expectation is exact, and at least one.

    Args:
        tokens: Token ids of all sequences, end to end, shape (tokens,).
        offsets: Sequence i is `tokens[offsets[i]:offsets[i + 1]]`, shape (n + 1,).
        hashes: Sequence hashes, uint64, shape (n,).
        residue_ids: Token ids of the unambiguous residues.
        mask_id: Token id of the mask.
        seed: Seed of the run.
        draw: Number of the mask: the epoch in training, k in repeated measurements, or `EVALUATION_DRAW`.
        rate: Share of the residues that become targets, 0 < rate <= 1.

    Raises:
        InputError: The rate is out of its bounds.

    Source: the 80/10/10 rule is BERT's (arXiv 1810.04805, section 3.1).
    """
    if not 0 < rate <= 1:
        raise InputError(f"The mask rate is {rate}; it must be above 0 and at most 1 (0.15 is usual).")
    keys = mix_words(hashes ^ np.uint64(_scalar_mix(_scalar_mix(seed & _WORD) + draw)))
    residues = np.flatnonzero(np.isin(tokens, residue_ids))
    rows = np.searchsorted(offsets, residues, side="right") - 1
    numbers = _token_numbers(keys[rows], residues - offsets[rows])

    counts = _target_counts(np.bincount(rows, minlength=len(hashes)), rate, unit_interval(mix_words(keys)))
    chosen = _smallest_of_each_row(rows, numbers[0], counts)

    action = unit_interval(numbers[1, chosen])
    replacement = residue_ids[_below(numbers[2, chosen], len(residue_ids))]
    places = residues[chosen]
    inputs = tokens.copy()
    inputs[places] = np.where(
        action < _MASKED_SHARE,
        mask_id,
        np.where(action < _MASKED_SHARE + _RANDOM_SHARE, replacement, tokens[places]),
    )
    targets = np.zeros(len(tokens), dtype=np.bool_)
    targets[places] = True
    return MaskedTokens(inputs, targets)


def _target_counts(
    residues: NDArray[np.int64], rate: float, uniform: NDArray[np.float64]
) -> NDArray[np.int64]:
    counts = np.floor(residues * rate + uniform).astype(np.int64)
    return np.minimum(np.maximum(counts, 1), residues)


def _smallest_of_each_row(
    rows: NDArray[np.int64], numbers: NDArray[np.uint64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Indices of the counts[r] smallest numbers of every row r, ascending; `rows` must be sorted."""
    order = np.lexsort((numbers, rows))
    first = np.searchsorted(rows, np.arange(len(counts)))
    rank = np.arange(len(rows)) - first[rows]
    return np.sort(order[rank < counts[rows]])


def _token_numbers(keys: NDArray[np.uint64], places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Pseudo-random words, uint64, shape (streams, tokens): SplitMix64 seeded by key, read at the place."""
    counters = places.astype(np.uint64) * np.uint64(_STREAMS) + np.arange(
        1, _STREAMS + 1, dtype=np.uint64
    ).reshape(-1, 1)
    return mix_words(keys + counters * np.uint64(_GOLDEN))


def unit_interval(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words as float64 in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _below(words: NDArray[np.uint64], bound: int) -> NDArray[np.int64]:
    # The bias of multiply-and-shift is below bound / 2^32.
    return ((words >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def _scalar_mix(word: int) -> int:
    return int(mix_words(np.array([(word + _GOLDEN) & _WORD], dtype=np.uint64))[0])
