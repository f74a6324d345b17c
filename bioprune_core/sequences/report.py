"""The quality report: every record of the input is either in the pool or counted under a reason."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import StorageError

__all__ = [
    "ChangeReason",
    "DropReason",
    "Example",
    "FileSummary",
    "LabelCount",
    "QualityReport",
    "ReasonCount",
    "Tally",
]

EXAMPLES_PER_REASON = 10


class DropReason(StrEnum):
    """Why a record is not in the pool. The first that applies counts."""

    MALFORMED = "malformed"
    EMPTY = "no-sequence"
    LETTERS = "letters-outside-alphabet"
    AMBIGUOUS = "ambiguous-letters"
    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    DUPLICATE = "duplicate"


class ChangeReason(StrEnum):
    """How a record differs from what its file says. A record may count under several."""

    UPPER_CASED = "upper-cased"
    CONVERTED = "thymine-uracil-converted"
    GAPS_REMOVED = "gaps-removed"
    STOP_REMOVED = "trailing-stop-removed"
    REPLACED = "ambiguous-replaced"
    TRUNCATED = "truncated"
    WINDOWED = "windowed"
    ID_GIVEN = "id-given"
    ID_DISAMBIGUATED = "id-disambiguated"


@dataclass(frozen=True, slots=True)
class Example:
    """One record as an example of a reason.

    Args:
        file: Name of the file.
        record: Place of the record in the file, from 1.
        id: Its id, shortened.
        detail: What exactly was met.
    """

    file: str
    record: int
    id: str
    detail: str


@dataclass(slots=True)
class ReasonCount:
    """How many records fall under a reason, with the first few of them."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def wants_examples(self) -> int:
        """How many more examples there is room for."""
        return EXAMPLES_PER_REASON - len(self.examples)


@dataclass(frozen=True, slots=True)
class FileSummary:
    """What was read from one input file.

    Args:
        name: Name of the file.
        bytes: Its size on disk.
        format: Sequence format that was recognised.
        compression: Compression that was recognised, or "none".
        records: Records read.
        dropped: Records dropped for any reason other than being duplicates.
    """

    name: str
    bytes: int
    format: str
    compression: str
    records: int
    dropped: int


@dataclass(frozen=True, slots=True)
class LabelCount:
    """The labels of a pool.

    Args:
        sequences: Sequences that have a label.
        different: Different labels.
    """

    sequences: int
    different: int


@dataclass(slots=True)
class Tally:
    """Counts that grow while files are read."""

    read: int = 0
    dropped: dict[DropReason, ReasonCount] = field(default_factory=dict)
    changed: dict[ChangeReason, ReasonCount] = field(default_factory=dict)

    def drop(self, reason: DropReason) -> ReasonCount:
        """The count of a drop reason, to add to."""
        return self.dropped.setdefault(reason, ReasonCount())

    def change(self, reason: ChangeReason) -> ReasonCount:
        """The count of a change reason, to add to."""
        return self.changed.setdefault(reason, ReasonCount())


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What became of every record. read == kept + all dropped.

    Args:
        read: Records in the files.
        kept: Records of which the pool has a sequence.
        sequences: Sequences in the pool; differs from `kept` only when long records were cut into windows.
        dropped: Records by the reason that kept them out.
        changed: Records that passed the checks, by how they were changed; duplicates are among them.
        duplicates: Sequences collapsed into an equal earlier one.
        alphabet: Alphabet of the pool.
        alphabet_detected: Whether the alphabet was detected and not chosen.
        length_histogram: "edges" (n + 1, in residues, ascending, the last bin closed) and "counts" (n).
        lengths: Minimum, maximum, mean, median, p5, p95 and total length of the pool, in residues.
        composition: Letters of the pool with their counts.
        ambiguous: Ambiguous letters of the pool: sequences that have some, and letters in all.
        files: The files in the order read.
        notes: Sentences that a person should read.
        labels: Labels of the pool; None where none was asked for or met, and in reports written before labels
            were counted.
    """

    read: int
    kept: int
    sequences: int
    dropped: dict[DropReason, ReasonCount]
    changed: dict[ChangeReason, ReasonCount]
    duplicates: int
    alphabet: Alphabet
    alphabet_detected: bool
    length_histogram: dict[str, list[int]]
    lengths: dict[str, float]
    composition: dict[str, int]
    ambiguous: dict[str, int]
    files: list[FileSummary]
    notes: list[str]
    labels: LabelCount | None = None

    def __post_init__(self) -> None:
        dropped = sum(reason.count for reason in self.dropped.values())
        if self.read != self.kept + dropped:
            raise StorageError(
                f"The report does not add up: {self.read} records read, {self.kept} kept, {dropped} dropped."
            )

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """A report from `to_json`."""
        labels = value.get("labels")
        return cls(
            **{
                **value,
                "dropped": {DropReason(key): _count(entry) for key, entry in value["dropped"].items()},
                "changed": {ChangeReason(key): _count(entry) for key, entry in value["changed"].items()},
                "alphabet": Alphabet(value["alphabet"]),
                "files": [FileSummary(**entry) for entry in value["files"]],
                "labels": None if labels is None else LabelCount(**labels),
            }
        )


def _count(value: dict[str, Any]) -> ReasonCount:
    return ReasonCount(value["count"], [Example(**example) for example in value["examples"]])
