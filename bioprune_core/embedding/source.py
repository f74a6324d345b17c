"""Reading the embeddings and influences of a run, part by part."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import InputError, StorageError

__all__ = ["EmbeddedPool", "Part"]

# Rows in memory at a time: 16 MB of float32 at width 640.
_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Part:
    """One file of embeddings and the file of scores that belongs to it.

    Args:
        name: Their common file name.
        start: Row of the part's first sequence in the whole pool, counted over the parts in order.
        rows: Sequences in the part.
    """

    name: str
    start: int
    rows: int


@dataclass(frozen=True, slots=True)
class EmbeddedPool:
    """The embeddings and scores of a run; a sequence without a score has a row in neither.

    Args:
        embeddings: Folder of `part-*.parquet` with columns position and embedding (float16, fixed width).
        scores: Folder of as many parts of the same names, with columns position, hash and influence.
        parts: In the order of their names.
        width: Of the embeddings.
    """

    embeddings: Path
    scores: Path
    parts: tuple[Part, ...]
    width: int

    def __len__(self) -> int:
        return sum(part.rows for part in self.parts)

    @classmethod
    def open(cls, embeddings: Path, scores: Path) -> "EmbeddedPool":
        """Find the parts and check that they belong together.

        Raises:
            InputError: There are no embeddings, or embeddings and scores differ in parts or rows.
            StorageError: A file is damaged.
        """
        names = sorted(path.name for path in embeddings.glob("part-*.parquet"))
        if not names:
            raise InputError(
                f"There are no embeddings in {embeddings} to draw a map of. "
                "Score the pool with embeddings first."
            )
        parts, widths, start = [], set(), 0
        for name in names:
            schema, rows = _describe(embeddings / name)
            _, score_rows = _describe(scores / name)
            if rows != score_rows:
                raise InputError(
                    f"{embeddings / name} has {rows} rows but {scores / name} has {score_rows}: they are "
                    "not of one run. Score the pool again."
                )
            widths.add(schema.field("embedding").type.list_size)
            parts.append(Part(name, start, rows))
            start += rows
        if len(widths) > 1:
            raise InputError(
                f"The embeddings in {embeddings} have several widths ({sorted(widths)}): they are not of "
                "one model. Score the pool again."
            )
        return cls(embeddings, scores, tuple(parts), widths.pop())

    def influence(self) -> NDArray[np.float64]:
        """The influences of all sequences, float64, shape (n,).

        Raises:
            InputError: Some are NaN or infinite; says how many.
        """
        influence = self._scores_column("influence").astype(np.float64)
        broken = int(np.count_nonzero(~np.isfinite(influence)))
        if broken:
            raise InputError(
                f"{broken} of the {len(influence)} influences in {self.scores} are NaN or infinite. "
                "Score the pool again; where it recurs, look at the fine-tuning's loss."
            )
        return influence

    def hashes(self) -> NDArray[np.uint64]:
        """The sequence hashes of all sequences, uint64, shape (n,)."""
        return self._scores_column("hash").astype(np.uint64)

    def chunks(self, part: Part) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Positions, int64, shape (c,), and embeddings, float32, shape (c, width), chunk by chunk.

        Raises:
            StorageError: The file is damaged.
        """
        path = self.embeddings / part.name
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_CHUNK, columns=["position", "embedding"]):
                    values = batch.column("embedding").flatten().to_numpy(zero_copy_only=False)
                    positions = batch.column("position").to_numpy()
                    yield positions, values.reshape(len(positions), self.width).astype(np.float32)
        except (OSError, pa.ArrowInvalid) as error:
            raise _damaged(path, error) from error

    def _scores_column(self, name: str) -> NDArray[np.generic]:
        columns = []
        for part in self.parts:
            path = self.scores / part.name
            try:
                columns.append(pq.read_table(path, columns=[name]).column(name).to_numpy())
            except (OSError, pa.ArrowInvalid) as error:
                raise _damaged(path, error) from error
        return np.concatenate(columns)


def _describe(path: Path) -> tuple[pa.Schema, int]:
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata.num_rows
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"Could not read {path}: it is missing or damaged. Remove it and score the pool again.",
        detail=str(error),
    )
