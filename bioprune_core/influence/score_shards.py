"""The score pass over a pool: shards of contiguous positions, each finished or absent."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioprune_core.claims import finish_together
from bioprune_core.errors import InputError, StageError
from bioprune_core.influence.backoff import Backoff, backoffs_of
from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.influence.damping import FisherScale, fisher_scale
from bioprune_core.influence.head_inputs import HeadInputs
from bioprune_core.influence.plan import settled
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.shard_scorer import ShardScorer
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.influence.unscored import UnscoredTally
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard

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
        device_busy: Share of this attempt's time in which shards were computed, rather than files waited for;
            None where all were found finished.
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
    device_busy: float | None


def run_scores(
    model: MaskedLanguageModel,
    pool: SequencePool,
    fisher: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    scores_directory: Path,
    embeddings_directory: Path | None,
    report: Reporter = discard,
    kept_inputs: HeadInputs | None = None,
    most_tokens: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
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
        most_tokens: Of a forward pass, where that is less than planned (`PassPlan.most_tokens`).
        tell: Told in a sentence when shards of helpers that hang are computed here.

    Raises:
        InputError: The pool is empty, a sequence is too long for the policy, or F does not fit the model.
        StageError: A value of more sequences than `unscored_limit` allows is NaN or infinite (names the
            positions), or a directory holds shards of a larger computation.
        StorageError: The disk is full or not writable.
    """
    scorer = _scorer(
        model, pool, fisher, config, scores_directory, embeddings_directory, kept_inputs, most_tokens
    )
    meter = ThroughputMeter("score", len(pool), report)
    claims = scores_directory / _CLAIMS
    try:
        finished = finish_together(
            scorer.shards, scorer.read, partial(scorer.compute, meter), claims, wait=True, tell=tell
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
        device_busy=None if meter.device_busy is None else round(meter.device_busy, 4),
    )


def help_scores(
    model: MaskedLanguageModel,
    pool: SequencePool,
    fisher: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    scores_directory: Path,
    embeddings_directory: Path | None,
    kept_inputs: HeadInputs | None = None,
) -> int:
    """Compute shards of a score pass beside the process that does it, until every shard is done or claimed.

    Args, errors: as of `run_scores`; the bytes of a shard do not depend on who computes it.

    Returns:
        How many it computed.
    """
    scorer = _scorer(model, pool, fisher, config, scores_directory, embeddings_directory, kept_inputs)
    meter = ThroughputMeter("score", len(pool), discard)
    claims = scores_directory / _CLAIMS
    done = finish_together(
        scorer.shards,
        scorer.read,
        partial(scorer.compute, meter),
        claims,
        wait=False,
        seems_finished=scorer.seems_finished,
    )
    return sum(not found for _, found in filter(None, done))


def _scorer(
    model: MaskedLanguageModel,
    pool: SequencePool,
    fisher: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    scores_directory: Path,
    embeddings_directory: Path | None,
    kept_inputs: HeadInputs | None,
    most_tokens: int | None = None,
) -> ShardScorer:
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
    scorer = ShardScorer(
        model,
        pool,
        scale,
        config,
        origin,
        scores_directory,
        embeddings_directory,
        tally,
        Backoff(most_tokens),
        kept_inputs,
    )
    for directory in (scores_directory, embeddings_directory):
        _refuse_strangers(directory, scorer.shards)
    return scorer


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
