"""Labels that are not in a column: from the headers or from the name of the file."""

from dataclasses import replace

from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.file_names import stem
from bioprune_core.sequences.label_pattern import LabelPattern
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.records import RecordBlock

__all__ = ["Labeller"]


class Labeller:
    """Gives records the labels that the options say, in an ingest as in its preview.

    Args:
        options: Say where labels come from.
        seconds: Processor time that a search of the headers may take, as `LabelPattern.find` has it.
    """

    def __init__(self, options: IngestOptions, seconds: float | None = None) -> None:
        self._pattern = LabelPattern(options.label_pattern) if options.label_pattern is not None else None
        self._by_name = options.label_from_file_name
        self._seconds = seconds

    def __call__(self, block: RecordBlock, file: str) -> RecordBlock:
        """The records with their labels; those from a column are there already.

        Raises:
            InputError: Searching a header takes too long.
        """
        if self._by_name:
            return replace(block, labels=ByteStrings.repeat(stem(file).encode(), len(block)))
        if self._pattern is not None:
            return replace(block, labels=self._pattern.find(block, file, self._seconds))
        return block
