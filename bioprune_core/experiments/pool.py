"""The pool as arms see it: a few arrays, and which sequences no arm may draw."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.selection.ranking import seeded_rank

__all__ = ["UNGROUPED", "HeldOut", "Pool", "hold_out", "length_groups", "parts_of"]

UNGROUPED = -1
"""The code of a sequence that has no source, label or cluster."""

_LENGTH_RATIO = 1.05
"""Between the longest and the shortest sequence of a group of lengths."""

# Held-out sequences must not depend on the seeds of the arms: the seed of this order starts above them all.
_HELD_OUT_SEED = 1 << 64


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """N sequences and what arms are drawn by. Every array has shape (N,).

    A sequence without a finite influence belongs in `excluded`, so that all arms draw from the same pool.

    Args:
        hashes: Sequence hashes, uint64, unique: they order random draws, so that rows may come in any order.
        lengths: Tokens of each sequence as the run counted them, int64: what arms are drawn by.
        influence: Self-influence, float64; None where no run was scored.
        groups: Codes by what they say: "source", "label", "cluster", "length"; int64, `UNGROUPED` for none.
        saved: Positions of saved coresets by name, int64, shape (B,).
        excluded: What no arm may draw, bool: sequences of test sets, those near-identical to them, those
            without a score. None for nothing.
        held_out: What no arm may draw because losses are measured on it, bool. None for nothing.
        near_tests: What is identical or near-identical to a test sequence, bool. None where it is not known.
        trained: Tokens of each sequence as training counts them, int64. None where they are the `lengths`.

    Raises:
        InputError: Arrays differ in length, hashes repeat, or nothing is left to draw from.
    """

    hashes: NDArray[np.uint64]
    lengths: NDArray[np.int64]
    influence: NDArray[np.float64] | None = None
    groups: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    saved: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    excluded: NDArray[np.bool_] | None = None
    held_out: NDArray[np.bool_] | None = None
    near_tests: NDArray[np.bool_] | None = None
    trained: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        columns = {"lengths": self.lengths, **{f"group {name}": codes for name, codes in self.groups.items()}}
        for name in ("influence", "excluded", "held_out", "near_tests", "trained"):
            if (column := getattr(self, name)) is not None:
                columns[name] = column
        for name, column in columns.items():
            if len(column) != len(self.hashes):
                raise InputError(
                    f"The pool has {len(self.hashes):,} hashes but {len(column):,} values of {name}; "
                    "give one for each sequence."
                )
        if (repeated := len(self.hashes) - len(np.unique(self.hashes))) > 0:
            raise InputError(
                f"{repeated:,} of {len(self.hashes):,} sequence hashes of the pool repeat; deduplicate it."
            )
        if not len(self.eligible):
            raise InputError(
                f"All {len(self.hashes):,} sequences of the pool are excluded or held out; nothing is left "
                "to draw from. Hold out less or exclude fewer."
            )

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def tokens(self) -> NDArray[np.int64]:
        """What a pass over each sequence costs, tokens, int64, shape (N,)."""
        return self.lengths if self.trained is None else self.trained

    @property
    def eligible(self) -> NDArray[np.int64]:
        """Positions that arms may draw, ascending, int64."""
        barred = np.zeros(len(self.hashes), dtype=np.bool_)
        for mask in (self.excluded, self.held_out):
            if mask is not None:
                barred |= mask
        return np.flatnonzero(~barred).astype(np.int64)

    def codes(self, grouping: str) -> NDArray[np.int64]:
        """The codes of a grouping, or of several at once: "source+length" has one for each source and length.

        Raises:
            InputError: The pool has none of that name.
        """
        if grouping in self.groups:
            return self.groups[grouping]
        joined = np.zeros(len(self), np.int64)
        for name in parts_of(grouping):
            if name not in self.groups:
                known = ", ".join(sorted(self.groups)) or "none"
                raise InputError(
                    f'The pool has no grouping "{name}"; it has: {known}. Name one of them in the '
                    "experiment's `mixtures` and in its arms."
                )
            # Numbered anew each time, so that no product overflows. UNGROUPED is a group like any other here.
            codes = self.groups[name] - UNGROUPED
            joined = np.unique(joined * (codes.max() + 1) + codes, return_inverse=True)[1]
        return joined

    def with_codes(self, groupings: Iterable[str]) -> "Pool":
        """The pool with these groupings at hand, so that draws do not join them again and again.

        Raises:
            InputError: The pool has not what one of them is made of.
        """
        return replace(self, groups={**self.groups, **{name: self.codes(name) for name in groupings}})


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What is kept from every arm to measure masked losses on. The two do not overlap.

    Args:
        sequences: Drawn uniformly, bool, shape (N,).
        families: Whole families, bool, shape (N,).
    """

    sequences: NDArray[np.bool_]
    families: NDArray[np.bool_]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Either, bool, shape (N,): the `held_out` of a Pool."""
        return np.asarray(self.sequences | self.families)


def parts_of(grouping: str) -> tuple[str, ...]:
    """The groupings that one is made of, such as "source" and "length" of "source+length"."""
    return tuple(grouping.split("+"))


def length_groups(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups of sequences whose lengths differ by less than 5 %; borders do not depend on the pool.

    Narrow, so that a draw that matches them has the lengths of what it matches; not of single lengths, of
    which a selection may have taken every sequence that there is.

    Args:
        tokens: Of each sequence, at least 1, int64, shape (N,).

    Returns:
        Codes, int64, shape (N,).
    """
    return np.floor(np.log(tokens) / math.log(_LENGTH_RATIO)).astype(np.int64)


def hold_out(
    hashes: NDArray[np.uint64],
    excluded: NDArray[np.bool_],
    share: float,
    families: Sequence[str],
    labels: tuple[NDArray[np.int64], Sequence[str]] | None,
    seed: int,
) -> HeldOut:
    """Choose what is held out: whole families by name, and a random share of the other sequences.

    Args:
        hashes: Sequence hashes, uint64, shape (N,).
        excluded: What may not be drawn anyway and is not held out either, bool, shape (N,).
        share: Of the sequences outside those families, 0 <= share < 1; floor(share * their number), but at
            least one where the share is not 0.
        families: Names of the families.
        labels: The family code of each sequence, int64, shape (N,), and the name of each code; None where
            the pool has no labels.
        seed: Of the random share. It is independent of every arm's draw.

    Raises:
        InputError: A family is not among the labels of the pool, or all of it is excluded; names it.
    """
    in_families = np.zeros(len(hashes), dtype=np.bool_)
    if families:
        codes, names = labels if labels is not None else (np.empty(0, np.int64), ())
        code_of = {name: code for code, name in enumerate(names)}
        if unknown := sorted(set(families) - set(code_of)):
            raise InputError(
                f"Held-out families that no sequence of the pool is labelled with: {', '.join(unknown)}. "
                f"The pool has {len(names):,} labels; check the spelling or leave these out."
            )
        in_families = np.isin(codes, [code_of[name] for name in families]) & ~excluded
        if gone := [name for name in families if not (in_families & (codes == code_of[name])).any()]:
            raise InputError(
                f"Held-out families of which nothing is left to measure losses on: {', '.join(gone)}. All of "
                "their sequences are test sequences, near-identical to one, or without a score; leave these "
                "families out."
            )
    others = np.flatnonzero(~excluded & ~in_families)
    # By the decimal that was written: 0.29 of 100 sequences are 29, though the nearest float lies below.
    count = max(int(Fraction(str(share)) * len(others)), int(share > 0))
    order = np.lexsort((hashes[others], seeded_rank(hashes[others], _HELD_OUT_SEED + seed)))
    sequences = np.zeros(len(hashes), dtype=np.bool_)
    sequences[others[order[:count]]] = True
    return HeldOut(sequences, in_families)
