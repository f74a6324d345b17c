"""The score pass over a pool: shards of contiguous positions, each finished or absent."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.claims import finish_together
from bioprune_core.errors import InputError, StageError
from bioprune_core.influence.backoff import Backoff, backoff_facts, backoffs_of
from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.influence.damping import FisherScale, fisher_scale
from bioprune_core.influence.head_inputs import HeadInputs
from bioprune_core.influence.plan import settled
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.receipt import find_receipt, origin_of, write_receipt
from bioprune_core.influence.score import ScoreBlock, score_block
from bioprune_core.influence.score_file import ScoreColumns, write_scores
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.influence.unscored import UnscoredTally, unscored_facts, unscored_of
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import atomic_path

__all__ = ["ScoreSummary", "help_scores", "run_scores"]

_CLAIMS = ".claims"


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What a score pass did, shards of earlier attempts included.

    Args:
        sequences: Sequences scored.
        tokens: Tokens scored, cls and eos included.
        truncated: Sequences longer than the model's limit, of which the first residues were scored.
        clipped: Sequences whose embedding was clipped to the range of float16.
        shards: Shards in all.
        reused: Shards that were found finished.
        unscored: Sequences without a score, because a value of theirs is NaN or infinite.
        backoffs: How often a batch had to be halved for want of memory.
        windowed: Sequences longer than the model's limit, which were scored in several windows.
    """

    sequences: int
    tokens: int
    truncated: int
    clipped: int
    shards: int
    reused: int
    unscored: int
    backoffs: int
    windowed: int


def run_scores(
    model: MaskedLanguageModel,
    pool: SequencePool,
    fisher: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    scores_directory: Path,
    embeddings_directory: Path | None,
    report: Reporter = discard,
    kept_inputs: HeadInputs | None = None,
) -> ScoreSummary:
    """Score every sequence of a pool, or those whose shard is missing in the directories.

    Writes `part-00000.parquet` ... in both directories and, last, a receipt of each shard beside its scores.
    Under the objective `masked` with two masks or more the scores have the columns `influence_even` and
    `influence_odd` as well, the influence by each half of the masks.
    A sequence of which a value is NaN or infinite gets a row in neither; the receipts name it
    (`read_unscored`). May be killed anywhere and called again; the bytes do not depend on it.

    Args:
        model: The adapted model.
        pool: N sequences, N >= 1.
        fisher: F, float64, as `run_fisher` returned it, or its scale.
        config: Objective, parameters, damping, batching, size of a shard.
        scores_directory: Of this run's scores alone.
        embeddings_directory: Of this run's embeddings alone; None to write none.
        report: Told sequences done and throughput.
        kept_inputs: Inputs of the head of the subset, from `read_head_inputs`.

    Raises:
        InputError: The pool is empty, a sequence is too long for the policy, or F does not fit the model.
        StageError: A value of more sequences than `unscored_limit` allows is NaN or infinite (names the
            positions), or a directory holds shards of a larger computation.
        StorageError: The disk is full or not writable.
    """
    scorer = _scorer(model, pool, fisher, config, scores_directory, embeddings_directory, kept_inputs)
    meter = ThroughputMeter("score", len(pool), report)
    claims = scores_directory / _CLAIMS
    try:
        finished = finish_together(
            scorer.shards, lambda index: scorer.finish(index, meter), claims, wait=True
        )
    finally:
        # A helper that looks for more to do may make it again; an empty folder harms nobody.
        shutil.rmtree(claims, ignore_errors=True)
    meter.finish()
    done = [result for result in finished if result is not None]
    totals = {
        name: sum(counts[name] for counts, _ in done)
        for name in ("sequences", "tokens", "truncated", "clipped")
    }
    return ScoreSummary(
        **totals,
        shards=scorer.shards,
        reused=sum(found for _, found in done),
        unscored=len(scorer.tally.found),
        backoffs=sum(backoffs_of(counts) for counts, _ in done),
        windowed=sum(counts.get("windowed", 0) for counts, _ in done),
    )


def help_scores(
    model: MaskedLanguageModel,
    pool: SequencePool,
    fisher: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    scores_directory: Path,
    embeddings_directory: Path | None,
    kept_inputs: HeadInputs | None = None,
) -> None:
    """Compute shards of a score pass beside the process that does it, until every shard is done or claimed.

    Args, errors: as of `run_scores`; the bytes of a shard do not depend on who computes it.
    """
    scorer = _scorer(model, pool, fisher, config, scores_directory, embeddings_directory, kept_inputs)
    meter = ThroughputMeter("score", len(pool), discard)
    finish_together(
        scorer.shards, lambda index: scorer.finish(index, meter), scores_directory / _CLAIMS, wait=False
    )


def _scorer(
    model: MaskedLanguageModel,
    pool: SequencePool,
    fisher: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    scores_directory: Path,
    embeddings_directory: Path | None,
    kept_inputs: HeadInputs | None,
) -> "_ShardScorer":
    if not len(pool):
        raise InputError("The pool is empty: there are no sequences to score.")
    config = settled(config, model)
    scale = fisher_scale(fisher, config.damping)
    origin = {
        "stage": "score",
        "config": config.to_json(),
        "model": model.content_hash,
        "fisher": scale.origin,
        "embeddings": embeddings_directory is not None,
        "kept_inputs": kept_inputs is not None,
    }
    tally = UnscoredTally(config.unscored_limit, len(pool))
    scorer = _ShardScorer(
        model,
        pool,
        scale,
        config,
        origin,
        scores_directory,
        embeddings_directory,
        tally,
        Backoff(),
        kept_inputs,
    )
    for directory in (scores_directory, embeddings_directory):
        _refuse_strangers(directory, scorer.shards)
    return scorer


@dataclass(frozen=True, slots=True, eq=False)
class _ShardScorer:
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

    def finish(self, index: int, meter: ThroughputMeter) -> tuple[dict[str, Any], bool]:
        """Compute shard `index` unless it is there. Returns its counts, and whether it was there."""
        start = index * self.config.shard_size
        block = self.pool.read(start, min(start + self.config.shard_size, len(self.pool)))
        files = self._files(index)
        receipt = files["scores"].with_suffix(".json")
        origin = origin_of(self.origin, block.positions, block.hashes)
        counts = find_receipt(receipt, origin, files)
        if counts is not None:
            self.tally.add(unscored_of(counts))
            meter.skip(len(block))
            return counts, True
        embeddings = "embeddings" in files
        before = self.backoff.times
        scores = score_block(
            self.model,
            block,
            self.scale,
            self.config,
            embeddings,
            meter.advance,
            leave_out=True,
            backoff=self.backoff,
            kept_inputs=self.kept_inputs,
        )
        self.tally.add(scores.unscored)
        counts = _write_shard(block, scores, files) | backoff_facts(self.backoff.times - before)
        write_receipt(receipt, origin, files, counts)
        return counts, False

    def _files(self, index: int) -> dict[str, Path]:
        name = f"part-{index:05d}.parquet"
        files = {"scores": self.scores_directory / name}
        if self.embeddings_directory is not None:
            files["embeddings"] = self.embeddings_directory / name
        return files


def _write_shard(block: SequenceBlock, scores: ScoreBlock, files: dict[str, Path]) -> dict[str, Any]:
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
            pq.write_table(table, part, compression="zstd")
    return {
        "sequences": int(scored.sum()),
        "tokens": int(scores.tokens.sum()),
        "truncated": scores.truncated,
        "clipped": scores.clipped,
        **({"windowed": scores.windowed} if scores.windowed else {}),
        **unscored_facts(scores.unscored),
    }


def _refuse_strangers(directory: Path | None, shards: int) -> None:
    """Stop where a view over all parts of the directory would read more than this computation writes."""
    if directory is None:
        return
    expected = {f"part-{index:05d}.parquet" for index in range(shards)}
    strangers = sorted({path.name for path in directory.glob("*.parquet")} - expected)
    if strangers:
        raise StageError(
            f"{directory} holds {strangers[0]}, but this run has {shards:,} shards: the folder belongs to "
            "another computation. Start in an empty folder."
        )
