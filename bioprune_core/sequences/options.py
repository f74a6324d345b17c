"""What a person may decide about an ingest, checked when it is said and not hours later."""

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.label_pattern import LabelPattern

__all__ = ["AmbiguousPolicy", "IngestOptions", "LengthPolicy"]


class AmbiguousPolicy(StrEnum):
    """What happens to IUPAC letters that stand for more than one residue."""

    KEEP = "keep"
    REPLACE = "replace"
    DROP = "drop"


class LengthPolicy(StrEnum):
    """What happens to sequences longer than the maximum."""

    DROP = "drop"
    TRUNCATE = "truncate"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How sequence files become a pool.

    Args:
        alphabet: The alphabet to read the letters in; None detects it. RNA reads T as U, DNA reads U as T.
        ambiguous: Keep ambiguous letters, replace each by the wildcard (N or X), or drop their records.
        minimum_length: Shortest sequence kept, in residues after normalisation.
        maximum_length: Longest sequence kept as it is, in residues; None sets no bound.
        too_long: Drop longer sequences, truncate them to the maximum, or cut them into windows of exactly
            the maximum length that cover the sequence; the last window ends where the sequence ends.
        window_overlap: Residues that neighbouring windows share, less than the maximum length.
        deduplicate: Collapse equal sequences into the first of them.
        sequence_column: Column of the sequences in tables and Parquet, by name or by number from 1;
            None guesses it from names and content.
        id_column: Column of the ids; None guesses it from the names.
        label_column: Column of the labels; None takes none.
        label_pattern: Regular expression with one group, searched in the header (id and description);
            the group is the label.
        label_from_file_name: The label is the file's name without the endings of its packing and format.
        maximum_bytes: Most bytes of text that all files together may unpack to.
        maximum_ratio: Most bytes of text per byte of a compressed file; more is taken for a bomb.
    """

    alphabet: Alphabet | None = None
    ambiguous: AmbiguousPolicy = AmbiguousPolicy.KEEP
    minimum_length: int = 1
    maximum_length: int | None = None
    too_long: LengthPolicy = LengthPolicy.DROP
    window_overlap: int = 0
    deduplicate: bool = True
    sequence_column: str | None = None
    id_column: str | None = None
    label_column: str | None = None
    label_pattern: str | None = None
    label_from_file_name: bool = False
    maximum_bytes: int = 1 << 42
    maximum_ratio: float = 250.0

    def __post_init__(self) -> None:
        if self.minimum_length < 1:
            raise InputError(f"The minimum length is {self.minimum_length}; it must be at least 1.")
        if self.maximum_length is not None and self.maximum_length < self.minimum_length:
            raise InputError(
                f"The maximum length {self.maximum_length} is below the minimum length "
                f"{self.minimum_length}; raise the one or lower the other."
            )
        if self.maximum_length is None and self.too_long is not LengthPolicy.DROP:
            raise InputError(f"To {self.too_long} long sequences, give a maximum length.")
        if not 0 <= self.window_overlap < (self.maximum_length or 1):
            raise InputError(
                f"The window overlap {self.window_overlap} must be at least 0 and below the maximum length "
                f"{self.maximum_length}."
            )
        if self.window_overlap and self.too_long is not LengthPolicy.WINDOW:
            raise InputError("A window overlap needs the length policy window.")
        if self.maximum_bytes < 1 or self.maximum_ratio < 1:
            raise InputError("The limits on bytes and on the compression ratio must be at least 1.")
        self._check_label()

    def _check_label(self) -> None:
        ways = [self.label_column is not None, self.label_pattern is not None, self.label_from_file_name]
        if sum(ways) > 1:
            raise InputError(
                "Labels can come from a column, from a pattern or from the file name: choose one of them."
            )
        if self.label_pattern is not None:
            LabelPattern(self.label_pattern)

    @property
    def asks_for_labels(self) -> bool:
        """Whether a way to get labels is chosen."""
        return self.label_column is not None or self.label_pattern is not None or self.label_from_file_name

    def to_json(self) -> dict[str, Any]:
        """The options as plain JSON values, every field present."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Options from `to_json`; missing fields take their defaults.

        Raises:
            InputError: A field is unknown or its value is not acceptable.
        """
        unknown = sorted(set(value) - {field.name for field in fields(cls)})
        if unknown:
            raise InputError(f"Unknown ingest options: {', '.join(unknown)}.")
        given = dict(value)
        try:
            if given.get("alphabet") is not None:
                given["alphabet"] = Alphabet(given["alphabet"])
            if "ambiguous" in given:
                given["ambiguous"] = AmbiguousPolicy(given["ambiguous"])
            if "too_long" in given:
                given["too_long"] = LengthPolicy(given["too_long"])
        except ValueError as error:
            raise InputError(f"An ingest option has an unknown value: {error}.") from error
        return cls(**given)
