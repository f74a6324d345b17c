"""One shard of a score pass: read, computed, written; each of the three in a thread of its own."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core.influence.backoff import Backoff, backoff_facts
from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.influence.damping import FisherScale
from bioprune_core.influence.head_inputs import HeadInputs
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.receipt import find_receipt, origin_of, write_receipt
from bioprune_core.influence.score import ScoreBlock, begin_scores
from bioprune_core.influence.score_file import ScoreColumns, write_scores
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.influence.unscored import UnscoredTally, unscored_facts, unscored_of
from bioprune_core.influence.windows import EncodedBlock, encode_block
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import atomic_path

__all__ = ["Shard", "ShardScorer"]


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """What a shard is computed from.

    Args:
        block: Its sequences.
        origin: Digest of all that determines its bytes.
        encoded: The tokens; None where it seemed to be finished when it was read.
    """

    block: SequenceBlock
    origin: str
    encoded: EncodedBlock | None


@dataclass(frozen=True, slots=True, eq=False)
class ShardScorer:
    """Finishes any one shard, independently of the others.

    Args:
        model: The adapted model.
        pool: The pool.
        scale: Of the Fisher diagonal.
        config: Of the pass.
        origin: What all shards are computed from, as JSON values.
        scores_directory: Of the scores and their receipts.
        embeddings_directory: Of the embeddings, or None.
        tally: Of the sequences without a score.
        backoff: How far this process has backed off for want of memory.
        kept_inputs: Of the subset, or None.
    """

    model: MaskedLanguageModel
    pool: SequencePool
    scale: FisherScale
    config: InfluenceConfig
    origin: dict[str, Any]
    scores_directory: Path
    embeddings_directory: Path | None
    tally: UnscoredTally
    backoff: Backoff
    kept_inputs: HeadInputs | None

    @property
    def shards(self) -> int:
        """Shards in all."""
        return -(-len(self.pool) // self.config.shard_size)

    def seems_finished(self, index: int) -> bool:
        """Whether shard `index` has a receipt; whether that is right is found out in `compute`."""
        return _receipt(self._files(index)).exists()

    def read(self, index: int) -> Shard:
        """Read and tokenise shard `index`."""
        start = index * self.config.shard_size
        block = self.pool.read(start, min(start + self.config.shard_size, len(self.pool)))
        origin = origin_of(self.origin, block.positions, block.hashes)
        encoded = None if self.seems_finished(index) else encode_block(self.model, block, self.config)
        return Shard(block, origin, encoded)

    def compute(
        self, meter: ThroughputMeter, index: int, shard: Shard, _: ExitStack
    ) -> Callable[[], tuple[dict[str, Any], bool]]:
        """Compute a shard unless it is there. Returns what gives its counts, and whether it was there."""
        files = self._files(index)
        counts = find_receipt(_receipt(files), shard.origin, files)
        if counts is not None:
            self.tally.add(unscored_of(counts))
            meter.skip(len(shard.block))
            found = counts, True
            return lambda: found
        before = self.backoff.times
        with meter.computing():
            finish = begin_scores(
                self.model,
                shard.block,
                self.scale,
                self.config,
                "embeddings" in files,
                meter.advance,
                leave_out=True,
                backoff=self.backoff,
                kept_inputs=self.kept_inputs,
                encoded=shard.encoded,
            )
        facts = backoff_facts(self.backoff.times - before)
        return partial(self._finish, meter, shard, finish, files, facts)

    def _finish(
        self,
        meter: ThroughputMeter,
        shard: Shard,
        finish: Callable[[], ScoreBlock],
        files: Mapping[str, Path],
        facts: Mapping[str, Any],
    ) -> tuple[dict[str, Any], bool]:
        """Wait for what was begun, and write it down. A GPU computes the next shard already."""
        with meter.computing():
            scores = finish()
        self.tally.add(scores.unscored)
        return _write_shard(shard, scores, files, facts)

    def _files(self, index: int) -> dict[str, Path]:
        name = f"part-{index:05d}.parquet"
        files = {"scores": self.scores_directory / name}
        if self.embeddings_directory is not None:
            files["embeddings"] = self.embeddings_directory / name
        return files


def _receipt(files: Mapping[str, Path]) -> Path:
    return files["scores"].with_suffix(".json")


def _write_shard(
    shard: Shard, scores: ScoreBlock, files: Mapping[str, Path], facts: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """Write the files of a shard and, last, its receipt. Returns its counts, and that it was not there."""
    block = shard.block
    scored = ~np.isin(block.positions, [each.position for each in scores.unscored])
    positions = block.positions[scored]
    columns = ScoreColumns(
        positions,
        block.hashes[scored],
        scores.influence,
        scores.loss,
        scores.tokens,
        scores.gradient_norm,
        scores.halves,
    )
    write_scores(columns, files["scores"])
    if scores.embedding is not None:
        width = scores.embedding.shape[1]
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(scores.embedding.reshape(-1)), width)
        table = pa.table({"position": positions, "embedding": embedding})
        with atomic_path(files["embeddings"]) as part:
            # Dictionaries and statistics of numbers that never repeat took 80 of 125 ms for 4,096 x 640.
            pq.write_table(
                table, part, compression="zstd", use_dictionary=False, write_statistics=["position"]
            )
    counts = {
        "sequences": int(scored.sum()),
        "tokens": int(scores.tokens.sum()),
        "truncated": scores.truncated,
        "clipped": scores.clipped,
        **({"windowed": scores.windowed} if scores.windowed else {}),
        **unscored_facts(scores.unscored),
        **facts,
    }
    write_receipt(_receipt(files), shard.origin, files, counts)
    return counts, False
