"""Sequences without a score, because a value of theirs is not finite: found, counted, named, and limited."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import StageError
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import read_json

__all__ = [
    "Unscored",
    "UnscoredTally",
    "find_unscored",
    "most_unscored",
    "read_unscored",
    "refuse_unscored",
    "unscored_facts",
    "unscored_of",
]

NAMED_POSITIONS = 10
_FACT = "unscored"
_REMEDY = (
    "The model's weights are damaged or its training diverged: check its training loss and start from "
    "an earlier checkpoint."
)


@dataclass(frozen=True, slots=True)
class Unscored:
    """A sequence that gets no score.

    Args:
        position: In the pool.
        hash: Its sequence hash.
        reason: Which of its values is NaN or infinite: "loss", "gradient", "influence", "embedding", ...
    """

    position: int
    hash: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values; the hash in hexadecimal, since readers of JSON round whole numbers of 64 bits."""
        return {"position": self.position, "hash": f"{self.hash:016x}", "reason": self.reason}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        return cls(int(value["position"]), int(value["hash"], 16), str(value["reason"]))


def find_unscored(block: SequenceBlock, values: Mapping[str, NDArray[np.floating]]) -> tuple[Unscored, ...]:
    """The sequences of a block of which some value is NaN or infinite, each with the first that is.

    Args:
        block: n sequences.
        values: By what they are called, each of shape (n,) or (n, ...).
    """
    reasons: dict[int, str] = {}
    for name, of_sequences in values.items():
        finite = np.isfinite(of_sequences).reshape(len(block), -1).all(axis=1)
        for row in np.flatnonzero(~finite).tolist():
            reasons.setdefault(row, name)
    return tuple(
        Unscored(int(block.positions[row]), int(block.hashes[row]), reasons[row]) for row in sorted(reasons)
    )


def refuse_unscored(unscored: tuple[Unscored, ...], block: SequenceBlock, what: str) -> None:
    """Stop where every sequence of a block has to have a finite value.

    Raises:
        StageError: Some have none; names their positions in the pool.
    """
    if unscored:
        raise StageError(
            f"The {what} of {len(unscored):,} of {len(block):,} sequences is NaN or infinite "
            f"({_named(unscored)}); nothing was written for them. {_REMEDY}"
        )


def most_unscored(limit: float, total: int) -> int:
    """How many of `total` sequences may stay without a score.

    A limit above 0 allows one at least, or a single odd sequence would stop every pool below 1 / limit; at
    least one sequence has to have a score.

    Args:
        limit: Share, 0 for none.
        total: Sequences, >= 1.
    """
    return min(max(1, int(limit * total)), total - 1) if limit else 0


class UnscoredTally:
    """Counts the sequences without a score over the parts of a pass, and stops it above the limit.

    Args:
        limit: `unscored_limit` of the configuration.
        total: Sequences of the pass.
    """

    def __init__(self, limit: float, total: int) -> None:
        self.found: list[Unscored] = []
        self._limit = limit
        self._total = total

    def add(self, unscored: Iterable[Unscored]) -> None:
        """Count those of one more part.

        Raises:
            StageError: There are more than the limit allows; names their positions in the pool.
        """
        self.found += unscored
        allowed = most_unscored(self._limit, self._total)
        if len(self.found) > allowed:
            reasons = dict.fromkeys(each.reason for each in self.found)
            raise StageError(
                f"The {' or '.join(reasons)} of {len(self.found):,} sequences is NaN or infinite "
                f"({_named(self.found)}), and at most {allowed:,} of {self._total:,} may stay without a "
                f"score (unscored_limit {self._limit:g}); nothing was written for them. {_REMEDY} Or leave "
                "these sequences out of the dataset."
            )


def unscored_facts(unscored: Iterable[Unscored]) -> dict[str, Any]:
    """What the receipt of a part says of them; nothing where there are none."""
    records = [each.to_json() for each in unscored]
    return {_FACT: records} if records else {}


def unscored_of(facts: Mapping[str, Any]) -> tuple[Unscored, ...]:
    """What a receipt says of them."""
    return tuple(Unscored.from_json(each) for each in facts.get(_FACT, ()))


def read_unscored(directory: Path) -> tuple[Unscored, ...]:
    """All sequences without a score of a finished pass, from the receipts of its parts, by position.

    Args:
        directory: Of the scores or of the Fisher.

    Raises:
        StorageError: A receipt is damaged.
    """
    found = [each for path in directory.glob("part-*.json") for each in unscored_of(read_json(path)["facts"])]
    return tuple(sorted(found, key=lambda each: each.position))


def _named(unscored: Iterable[Unscored]) -> str:
    positions = [each.position for each in unscored]
    more = f" and {len(positions) - NAMED_POSITIONS:,} more" if len(positions) > NAMED_POSITIONS else ""
    return f"positions {', '.join(map(str, positions[:NAMED_POSITIONS]))}{more}"
