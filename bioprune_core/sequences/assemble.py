"""From spooled records to the pool: leave out duplicates, make ids unique, number and write the rows."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.duplicates import DuplicateFinder
from bioprune_core.sequences.identifiers import IdResolver, renamed
from bioprune_core.sequences.label_count import LabelCounter
from bioprune_core.sequences.parts import SCHEMA, PartWriter
from bioprune_core.sequences.report import ChangeReason, DropReason, Example, Tally
from bioprune_core.sequences.spill import Partitions, RowSet
from bioprune_core.sequences.spool import ROWS_PER_FILE, Spool
from bioprune_core.sequences.statistics import PoolStatistics

__all__ = ["Assembler"]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What was found out about the rows of one spool file.

    Args:
        start: Number of its first row.
        repeated: Rows to leave out, bool, shape (rows of the file,).
        duplicates: Records that each row stands for, int32, same shape.
        numbers: New number of each id, 0 for none; int64, same shape.
    """

    start: int
    repeated: NDArray[np.bool_]
    duplicates: NDArray[np.int32]
    numbers: NDArray[np.int64]


class Assembler:
    """The second half of an ingest.

    Args:
        alphabet: Alphabet of the pool.
        names: Names of the input files, by index.
        tally: Where duplicates and renamed ids are counted.
        directory: Where the parts go.
        temporary: A folder for temporary files.
    """

    def __init__(
        self, alphabet: Alphabet, names: Sequence[str], tally: Tally, directory: Path, temporary: Path
    ) -> None:
        self.statistics = PoolStatistics(alphabet)
        self.labels = LabelCounter(temporary)
        self.sequences = 0
        self.kept_records = 0
        self._names, self._tally = names, tally
        self._writer = PartWriter(directory)
        self._hash = hashlib.sha256(f"{alphabet}\n".encode())
        self._last_record = (-1, -1)
        self._first_ids: dict[int, str] = {}

    @property
    def content_hash(self) -> str:
        """SHA-256 over the alphabet and all hashes in order (little endian), hexadecimal."""
        return self._hash.hexdigest()

    def run(
        self, spool: Spool, finder: DuplicateFinder | None, ids: IdResolver, report: Callable[[int], None]
    ) -> None:
        """Write the pool; `report` gets the number of rows looked at so far."""
        repeated = finder.resolve() if finder else None
        ids.resolve(repeated)
        examples = finder.examples if finder else {}
        for file in range(spool.files):
            facts = _facts(file, spool.rows, repeated, finder.counts if finder else None, ids.numbers)
            row = facts.start
            for batch in spool.batches(file):
                self._add(batch, row, facts, examples)
                row += batch.num_rows
                report(row)
        self._writer.close()

    def _add(self, batch: pa.RecordBatch, row: int, facts: _Facts, examples: dict[int, int]) -> None:
        place = slice(row - facts.start, row - facts.start + batch.num_rows)
        self._note_duplicates(batch, row, examples)
        kept = np.flatnonzero(~facts.repeated[place])
        if not len(kept):
            return
        numbers, duplicates = facts.numbers[place][kept], facts.duplicates[place][kept]
        if len(kept) < batch.num_rows:
            batch = batch.take(pa.array(kept))
        self._count_records(batch)
        batch = self._rename(batch, numbers)
        letters = _letters(batch.column("sequence"))
        self.statistics.add(letters)
        self.labels.add(batch.column("label"))
        hashes = batch.column("hash")
        self._hash.update(np.ascontiguousarray(hashes.to_numpy(), dtype="<u8").tobytes())
        file = int(batch.column("file")[0].as_py())
        columns = [
            pa.array(np.arange(self.sequences, self.sequences + len(kept), dtype=np.int64)),
            batch.column("id"),
            batch.column("description"),
            batch.column("label"),
            pa.repeat(pa.scalar(self._names[file], pa.string()), len(kept)),
            batch.column("sequence"),
            pa.array(letters.lengths.astype(np.int32)),
            hashes,
            pa.array(duplicates),
        ]
        self._writer.add(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
        self.sequences += len(kept)

    def _note_duplicates(self, batch: pa.RecordBatch, row: int, examples: dict[int, int]) -> None:
        """Examples of duplicates in this batch; the first rows are met before the rows that repeat them."""
        for first in sorted(set(examples.values())):
            if row <= first < row + batch.num_rows:
                self._first_ids[first] = batch.column("id")[first - row].as_py()
        for repeated, first in examples.items():
            if row <= repeated < row + batch.num_rows:
                record = batch.slice(repeated - row, 1).to_pylist()[0]
                self._tally.drop(DropReason.DUPLICATE).examples.append(
                    Example(
                        self._names[record["file"]],
                        record["number"],
                        _short(record["id"]),
                        f"same sequence as {_short(self._first_ids[first])}",
                    )
                )

    def _count_records(self, batch: pa.RecordBatch) -> None:
        """Count records with a kept row; the windows of one record follow each other."""
        numbers = batch.column("number").to_numpy()
        file = int(batch.column("file")[0].as_py())
        self.kept_records += 1 + int(np.count_nonzero(np.diff(numbers)))
        if (file, int(numbers[0])) == self._last_record:
            self.kept_records -= 1
        self._last_record = (file, int(numbers[-1]))

    def _rename(self, batch: pa.RecordBatch, numbers: NDArray[np.int64]) -> pa.RecordBatch:
        rows = np.flatnonzero(numbers)
        if not len(rows):
            return batch
        count = self._tally.change(ChangeReason.ID_DISAMBIGUATED)
        names = batch.column("id").to_pylist()
        for row in rows.tolist():
            name, names[row] = names[row], renamed(names[row], int(numbers[row]))
            if count.wants_examples > 0:
                file, number = batch.column("file")[row].as_py(), batch.column("number")[row].as_py()
                detail = f"became {_short(names[row])}"
                count.examples.append(Example(self._names[file], number, _short(name), detail))
        count.count += len(rows)
        return batch.set_column(batch.schema.get_field_index("id"), "id", pa.array(names, pa.string()))


def _facts(
    file: int, rows: int, repeated: RowSet | None, counts: Partitions | None, numbers: Partitions
) -> _Facts:
    start = file * ROWS_PER_FILE
    size = min(ROWS_PER_FILE, rows - start)
    facts = _Facts(
        start,
        np.zeros(size, dtype=bool) if repeated is None else repeated.has(np.arange(start, start + size)),
        np.ones(size, dtype=np.int32),
        np.zeros(size, dtype=np.int64),
    )
    if counts is not None:
        values = counts.all(file)
        facts.duplicates[values["row"] - start] = values["value"]
        counts.discard(file)
    values = numbers.all(file)
    facts.numbers[values["row"] - start] = values["value"]
    numbers.discard(file)
    return facts


def _letters(column: pa.StringArray) -> ByteStrings:
    return ByteStrings.from_arrow(column.cast(pa.large_binary()))


def _short(name: str) -> str:
    return name if len(name) <= 80 else name[:79] + "…"
