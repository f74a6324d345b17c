"""The stage of a scoring that draws the subset. Needs no torch, and so starts at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.hashing import file_digest
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.pools import open_pool
from bioprune_core.jobs.subset import draw_subset
from bioprune_core.progress import Progress
from bioprune_core.storage import atomic_path
from bioprune_core.workspace.configuration import RunConfig

__all__ = ["HELD_OUT", "SUBSET", "draw", "read_positions"]

SUBSET, HELD_OUT = "subset.parquet", "held_out.parquet"


def draw(context: StageContext) -> Mapping[str, Any]:
    """Draw the subset and the held-out slice: subset.parquet, held_out.parquet."""
    config = RunConfig.from_json(context.config)
    pool = open_pool(context, config.dataset_id, config.dataset_content_hash)
    drawn = draw_subset(pool.hashes(), config.subset_size, config.held_out_size, config.subset_seed)
    for name, positions in ((SUBSET, drawn.subset), (HELD_OUT, drawn.held_out)):
        with atomic_path(context.directory / name) as part:
            pq.write_table(pa.table({"position": positions}), part, compression="zstd")
    context.report(Progress("subset", len(drawn.subset), config.subset_size, "sequences"))
    return {
        "sequences": len(drawn.subset),
        "held_out": len(drawn.held_out),
        "sha256": file_digest(context.directory / SUBSET),
    }


def read_positions(context: StageContext, name: str) -> NDArray[np.int64]:
    """The positions that `draw` wrote under `name`, ascending, int64."""
    positions: NDArray[np.int64] = pq.read_table(context.directory / name)["position"].to_numpy()
    return positions
