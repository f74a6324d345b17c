"""Reading rows by position from Parquet parts that together hold positions 0..N-1 in order."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import StorageError

__all__ = ["PositionedTable", "parts_of"]


def parts_of(directory: Path) -> list[Path]:
    """The finished Parquet parts of a folder in the order of their rows.

    Raises:
        StorageError: There are none.
    """
    parts = sorted(directory.glob("part-*.parquet"))
    if not parts:
        raise StorageError(f"{directory} holds no Parquet parts. It is damaged; make it again.")
    return parts


class PositionedTable:
    """A table spread over parts; row i of all parts together has position i.

    Memory stays at one row group plus what is asked for, whatever the size of the table.

    Args:
        directory: Folder with part-00000.parquet and so on.
        columns: The columns to read, besides `position`.
    """

    def __init__(self, directory: Path, columns: Sequence[str]) -> None:
        self._columns = ["position", *columns]
        self._groups: list[tuple[Path, int]] = []
        starts = [0]
        for path in parts_of(directory):
            metadata = pq.read_metadata(path)
            for group in range(metadata.num_row_groups):
                self._groups.append((path, group))
                starts.append(starts[-1] + metadata.row_group(group).num_rows)
        self._starts = np.array(starts, dtype=np.int64)
        self._open: tuple[Path, pq.ParquetFile] | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, positions: NDArray[np.int64]) -> pa.Table:
        """The rows at the given positions, which must ascend, in that order.

        Raises:
            StorageError: A position is beyond the table, or a part is damaged.
        """
        if len(positions) and positions[-1] >= len(self):
            raise StorageError(
                f"Position {positions[-1]:,} was asked of {self._groups[0][0].parent}, which has "
                f"{len(self):,} rows. The files do not belong together."
            )
        pieces = []
        done = 0
        while done < len(positions):
            group = int(np.searchsorted(self._starts, positions[done], side="right")) - 1
            stop = int(np.searchsorted(positions, self._starts[group + 1]))
            rows = positions[done:stop] - self._starts[group]
            pieces.append(self._read(group).take(pa.array(rows)))
            done = stop
        return pa.concat_tables(pieces) if pieces else self._schema().empty_table()

    def scan(self) -> Iterator[pa.Table]:
        """The whole table, one row group after the other."""
        for group in range(len(self._groups)):
            yield self._read(group)

    def _read(self, group: int) -> pa.Table:
        path, index = self._groups[group]
        try:
            table = self._file(path).read_row_group(index, columns=self._columns)
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"{path} is damaged. Make it again from its inputs.", detail=str(error)
            ) from error
        if table.num_rows and table["position"][0].as_py() != self._starts[group]:
            raise StorageError(
                f"{path} begins at position {table['position'][0].as_py():,} where {self._starts[group]:,} "
                "was expected: a part is missing or was moved."
            )
        return table

    def _file(self, path: Path) -> pq.ParquetFile:
        # One file open at a time: positions ascend, so each is opened once.
        if self._open is None or self._open[0] != path:
            self._open = (path, pq.ParquetFile(path))
        return self._open[1]

    def _schema(self) -> pa.Schema:
        schema = self._file(self._groups[0][0]).schema_arrow
        return pa.schema([schema.field(name) for name in self._columns])
