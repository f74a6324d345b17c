"""Reading rows by position from Parquet parts that together hold ascending positions of a pool."""

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
    """A table spread over parts, whose positions ascend over all of them.

    Memory stays at one row group plus what is asked for, whatever the size of the table.

    Args:
        directory: Folder with part-00000.parquet and so on.
        columns: The columns to read, besides `position`.
        gaps: Whether positions may be missing, as those of sequences without a score are; otherwise row i of
            all parts together has position i.
    """

    def __init__(self, directory: Path, columns: Sequence[str], gaps: bool = False) -> None:
        self._directory = directory
        self._columns = ["position", *columns]
        self._gaps = gaps
        self._groups: list[tuple[Path, int]] = []
        starts, rows = [], 0
        for path in parts_of(directory):
            metadata = pq.read_metadata(path)
            column = metadata.schema.names.index("position")
            for group in range(metadata.num_row_groups):
                about = metadata.row_group(group)
                if about.num_rows:
                    self._groups.append((path, group))
                    starts.append(about.column(column).statistics.min if gaps else rows)
                    rows += about.num_rows
        self._rows = rows
        self._starts = np.array(starts, dtype=np.int64)
        self._open: tuple[Path, pq.ParquetFile] | None = None

    def __len__(self) -> int:
        return self._rows

    def take(self, positions: NDArray[np.int64]) -> pa.Table:
        """The rows at the given positions, which must ascend, in that order.

        Raises:
            StorageError: A position is not in the table, or a part is damaged.
        """
        pieces = []
        done = 0
        while done < len(positions):
            group = int(np.searchsorted(self._starts, positions[done], side="right")) - 1
            if group < 0:
                raise self._missing(positions[done])
            later = self._starts[group + 1 : group + 2]
            stop = int(np.searchsorted(positions, later[0])) if len(later) else len(positions)
            table, wanted = self._read(group), positions[done:stop]
            present = table["position"].to_numpy()
            rows = np.minimum(np.searchsorted(present, wanted), len(present) - 1)
            if (absent := present[rows] != wanted).any():
                raise self._missing(wanted[absent][0])
            pieces.append(table.take(pa.array(rows)))
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
        if not self._gaps and table["position"][0].as_py() != self._starts[group]:
            raise StorageError(
                f"{path} begins at position {table['position'][0].as_py():,} where {self._starts[group]:,} "
                "was expected: a part is missing or was moved."
            )
        return table

    def _missing(self, position: np.int64) -> StorageError:
        return StorageError(
            f"Position {position:,} was asked of {self._directory}, which has {len(self):,} rows and not "
            "this one. The files do not belong together."
        )

    def _file(self, path: Path) -> pq.ParquetFile:
        # One file open at a time: positions ascend, so each is opened once.
        if self._open is None or self._open[0] != path:
            self._open = (path, pq.ParquetFile(path))
        return self._open[1]

    def _schema(self) -> pa.Schema:
        schema = self._file(parts_of(self._directory)[0]).schema_arrow
        return pa.schema([schema.field(name) for name in self._columns])
