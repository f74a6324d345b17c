"""The first half of an ingest: read every file once, normalise, and set aside what passes."""

from collections.abc import Callable
from pathlib import Path

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.duplicates import DuplicateFinder, digests
from bioprune_core.sequences.identifiers import IdResolver
from bioprune_core.sequences.inputs import InputFile
from bioprune_core.sequences.labels import Labeller
from bioprune_core.sequences.normalise import Normaliser
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.readers import read_records
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.report import DropReason, Example, FileSummary, Tally
from bioprune_core.sequences.source import Limits, Source
from bioprune_core.sequences.spool import ROWS_PER_FILE, Spool

__all__ = ["Intake"]

# From here on a file whose records mostly do not fit the alphabet is refused without reading the rest.
_JUDGED_RECORDS = 1000


class Intake:
    """Reads files into a spool, with the digests and ids of all rows beside it.

    Args:
        alphabet: Alphabet of the pool.
        options: The policies.
        directory: A folder for temporary files.

    Attributes:
        tally: What was read, dropped and changed so far.
        spool: The rows that passed.
        finder: Knows the digests of all rows; None when duplicates are kept.
        ids: Knows the ids of all rows.
        files: What each file held.
        checksums: SHA-256 of each file.
    """

    def __init__(self, alphabet: Alphabet, options: IngestOptions, directory: Path) -> None:
        self.tally = Tally()
        self.spool = Spool(directory)
        self.finder = DuplicateFinder(directory, ROWS_PER_FILE) if options.deduplicate else None
        self.ids = IdResolver(directory, ROWS_PER_FILE)
        self.files: list[FileSummary] = []
        self.checksums: list[str] = []
        self._alphabet = alphabet
        self._limits = Limits(options.maximum_bytes, options.maximum_ratio)
        self._normalise = Normaliser(alphabet, options, self.tally)
        self._labelled = Labeller(options)

    def read(self, file: InputFile, report: Callable[[int], None]) -> None:
        """Read one file; `report` gets the bytes of it that are done.

        Raises:
            InputError: The file is damaged, its letters do not fit the alphabet, or the search of a header
                for the label takes too long.
        """
        read_before, dropped_before = self.tally.read, self._dropped()
        mismatched_before = self.tally.drop(DropReason.LETTERS).count
        with Source(file.path, file.name, self._limits) as source:
            for block in read_records(source, file.recognised):
                self._take(block, file.name)
                source.records = self.tally.read - read_before
                report(source.consumed)
                mismatched = self.tally.drop(DropReason.LETTERS).count - mismatched_before
                if source.records >= _JUDGED_RECORDS:
                    self._judge(file, source.records, mismatched)
            self._judge(file, source.records, self.tally.drop(DropReason.LETTERS).count - mismatched_before)
            self.checksums.append(source.digest())
        self.files.append(
            FileSummary(
                file.name,
                file.bytes,
                str(file.recognised.format),
                str(file.compression),
                self.tally.read - read_before,
                self._dropped() - dropped_before,
            )
        )

    def _take(self, block: RecordBlock, name: str) -> None:
        self.tally.read += len(block) + len(block.malformed)
        if block.malformed:
            count = self.tally.drop(DropReason.MALFORMED)
            count.count += len(block.malformed)
            room = max(0, count.wants_examples)
            count.examples += [Example(name, number, "", detail) for number, detail in block.malformed[:room]]
        if not len(block):
            return
        for clean in self._normalise(self._labelled(block, name), name):
            words = digests(clean.letters)
            if self.finder is not None:
                self.finder.add(words)
            self.ids.add(clean.ids)
            self.spool.add(len(self.files), clean, words[:, 0])

    def _judge(self, file: InputFile, records: int, mismatched: int) -> None:
        """Refuse a file of which most records do not fit the alphabet."""
        if 2 * mismatched <= records:
            return
        examples = [
            entry for entry in self.tally.drop(DropReason.LETTERS).examples if entry.file == file.name
        ]
        shown = "".join(f" (record {entry.record}, {entry.id}: {entry.detail})" for entry in examples[:1])
        raise InputError(
            f"{file.name} does not look like {self._alphabet.upper()}: {mismatched:,} of its first "
            f"{records:,} records have letters outside the alphabet{shown}. Choose the alphabet that "
            "fits, or leave the file out."
        )

    def _dropped(self) -> int:
        return sum(reason.count for reason in self.tally.dropped.values())
