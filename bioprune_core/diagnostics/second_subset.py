"""Influence of a sample of the pool under the Fisher of a second subset; the adapted model is the first's."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.influence import InfluenceConfig, SequencePool, run_fisher, run_scores
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["second_influence"]

# Sequences between two points at which an interrupted diagnosis goes on.
_SHARD = 512


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Some sequences of a pool as a pool of their own; its blocks keep the positions in the whole one.

    Args:
        pool: The whole pool.
        positions: Of the sample, ascending, int64, shape (n,).
    """

    pool: SequencePool
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, start: int, stop: int) -> SequenceBlock:
        return self.pool.take(self.positions[start:stop])

    def take(self, positions: NDArray[np.int64]) -> SequenceBlock:
        return self.pool.take(self.positions[positions])


def second_influence(
    model: MaskedLanguageModel,
    pool: SequencePool,
    subset: NDArray[np.int64],
    sample: NDArray[np.int64],
    config: InfluenceConfig,
    directory: Path,
    report: Reporter = discard,
) -> NDArray[np.float64]:
    """Influence of a sample under the Fisher of another subset than the run's.

    The model stays the one adapted to the run's own subset, so what differs between the two influences is
    the estimate of the Fisher alone. May be killed anywhere and called again.

    Args:
        model: The adapted model.
        pool: The pool.
        subset: Positions of the second subset, ascending, int64, shape (M,).
        sample: Positions of the sample, ascending, int64, shape (n,).
        config: As the run's own scores were computed with.
        directory: Of this diagnosis alone.
        report: Told sequences done.

    Returns:
        float64, shape (n,), in the order of `sample`; NaN for a sequence whose influence, or loss, is not
        finite.

    Raises:
        InputError, StageError, StorageError: As `run_fisher` and `run_scores` do.
    """
    # Not in small parts: of linear layers each is as large as the model.
    fisher = run_fisher(model, pool, subset, config, directory / "fisher", report)
    small = replace(config, shard_size=min(config.shard_size, _SHARD))
    scores = directory / "scores"
    run_scores(model, _Sample(pool, sample), fisher, small, scores, None, report)
    found = np.full(len(sample), np.nan)
    for path in scores.glob("part-*.parquet"):
        part = pq.read_table(path, columns=["position", "influence"])
        found[np.searchsorted(sample, part["position"].to_numpy())] = part["influence"].to_numpy()
    return found
