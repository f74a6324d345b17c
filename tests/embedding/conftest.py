from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from bioprune_core.storage import atomic_path


class RunFiles:
    """The folders of a run, and a way to fill them as scoring does."""

    def __init__(self, root: Path) -> None:
        self.embeddings, self.scores, self.output = root / "embeddings", root / "scores", root / "map"

    def write(
        self,
        embeddings: NDArray[np.float64],
        influence: NDArray[np.float64] | None = None,
        shard: int = 100,
        seed: int = 0,
    ) -> None:
        count, width = embeddings.shape
        random = np.random.default_rng(seed)
        if influence is None:
            influence = random.lognormal(0, 1, count)
        hashes = random.integers(0, 1 << 64, count, dtype=np.uint64)
        for index, start in enumerate(range(0, count, shard)):
            rows = slice(start, min(start + shard, count))
            position = np.arange(count, dtype=np.int64)[rows]
            values = pa.array(embeddings[rows].astype(np.float16).reshape(-1))
            column = pa.FixedSizeListArray.from_arrays(values, width)
            scores = {"position": position, "hash": hashes[rows], "influence": influence[rows]}
            name = f"part-{index:05d}.parquet"
            with atomic_path(self.embeddings / name) as part:
                pq.write_table(pa.table({"position": position, "embedding": column}), part)
            with atomic_path(self.scores / name) as part:
                pq.write_table(pa.table(scores), part)

    def read(self) -> pa.Table:
        return pa.concat_tables([pq.read_table(path) for path in sorted(self.output.glob("part-*.parquet"))])

    def places(self) -> NDArray[np.float32]:
        table = self.read()
        return np.column_stack([table["x"].to_numpy(), table["y"].to_numpy()])


@pytest.fixture
def run_files(tmp_path: Path) -> RunFiles:
    return RunFiles(tmp_path)
