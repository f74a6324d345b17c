"""The few batches whose cost is measured before a run."""

import math
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from bioprune_core.estimate.cost import BatchCosts
from bioprune_core.influence import InfluenceConfig, fisher_scale, score_block
from bioprune_core.influence.fisher_shards import part_sequences
from bioprune_core.influence.gradient_engine import gradient_engine
from bioprune_core.influence.plan import input_bytes_a_token, settled_on_device
from bioprune_core.influence.unscored import refuse_unscored
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.sequences import Pool
from bioprune_core.training import TrainingConfig
from bioprune_core.training.batches import Corpus, training_batches
from bioprune_core.training.measure import batch_loss, measure
from bioprune_core.training.optimisation import autocast, make_optimiser

__all__ = ["measure_run", "training_seconds"]

# Scoring batches, evenly along the pool's tokens, shortest sequences first: so many because 5 shapes found
# 100 MB less of a pass's memory. A batch quicker than this is computed twice, since its shape, new to the
# kernels, took it a quarter longer than it takes in a pass.
_LENGTHS = 12
_QUICK_S = 1.0
# Training steps: of a small network they are quick and uneven, so more of them, for at most this long.
_STEPS, _MOST_STEPS, _STEPS_S = 5, 40, 5.0
# Of these the first make the optimiser's state and compile.
_UNTIMED_STEPS = 2
_SAMPLED = 512


def measure_run(
    model: MaskedLanguageModel,
    pool: Pool,
    lengths: NDArray[np.integer],
    influence: InfluenceConfig,
    training: TrainingConfig,
    load_s: float,
    report: Reporter = discard,
) -> BatchCosts:
    """Measure what a run over `pool` is made of: scoring at 12 lengths, training steps, a measurement.

    Args:
        model: The backbone, loaded for nothing else: the training steps change its weights.
        pool: The pool.
        lengths: Residues of every sequence of the pool, shape (N,), N >= 1.
        influence: Objective, parameters and token budget of the run; a budget that is left open is the one
            that the run would find.
        training: Of the fine-tuning.
        load_s: Seconds that loading the libraries took before this process began.
        report: Told of the stage "estimate", in batches.
    """
    start_s = time.time() - psutil.Process().create_time()
    started = _now(model)
    influence = settled_on_device(influence, model)
    trial_s = _now(model) - started
    if model.device.type == "cuda":
        # What a trial takes beyond the budget it finds is not needed.
        torch.cuda.reset_peak_memory_stats(model.device)
    total = 1 + _LENGTHS + _STEPS + 1
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        report(Progress("estimate", done, total, "batches"))

    tokens, score_s = _scoring(model, pool, lengths, influence, advance)
    train_s, measure_s = _training(model, pool, training, advance)
    return BatchCosts(
        device=str(model.device),
        parameters=model.parameters,
        weight_bytes=sum(each.numel() * each.element_size() for each in model.network.parameters()),
        width=model.head.dense.weight.shape[1],
        kept_bytes_a_token=input_bytes_a_token(model, influence),
        fisher_bytes=8 * math.prod(gradient_engine(model, influence).shape),
        fisher_part_sequences=part_sequences(influence),
        special_tokens=_special_tokens(model, pool),
        maximum_residues=model.maximum_residues,
        load_s=load_s,
        start_s=start_s,
        trial_s=trial_s,
        tokens=tokens,
        score_s=score_s,
        train_s=train_s,
        measure_s=measure_s,
        peak_bytes=_peak_bytes(),
        device_peak_bytes=torch.cuda.max_memory_allocated(model.device) if model.device.type == "cuda" else 0,
        batches=done,
    )


def _scoring(
    model: MaskedLanguageModel,
    pool: Pool,
    lengths: NDArray[np.integer],
    config: InfluenceConfig,
    advance: Callable[[], None],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Tokens a sequence and seconds to score one, at each of the lengths measured; no length twice."""
    # What the entries are does not matter to the time, and a real one might not be finite. Made once, as in
    # a pass.
    scale = fisher_scale(np.ones(gradient_engine(model, config).shape), config.damping)
    order = np.argsort(lengths, kind="stable")
    reached = np.cumsum(np.minimum(lengths[order], model.maximum_residues) + 1.0)
    found: dict[float, float] = {}
    # The first length warms up.
    for place in (0, *range(_LENGTHS)):
        middle = int(np.searchsorted(reached, (place + 0.5) / _LENGTHS * reached[-1]))
        length = int(min(lengths[order[middle]], model.maximum_residues)) + 2
        rows = min(len(order), max(1, config.batch_tokens // length))
        first = min(max(0, middle - rows // 2), len(order) - rows)
        block = pool.take(np.sort(order[first : first + rows]))
        seconds = float("inf")
        for _ in range(2):
            started = _now(model)
            scored = score_block(model, block, scale, config, leave_out=True)
            seconds = min(seconds, _now(model) - started)
            if seconds > _QUICK_S:
                break
        advance()
        if not len(scored.tokens):
            refuse_unscored(scored.unscored, block, "influence, loss or embedding")
        found[float(scored.tokens.mean())] = seconds / rows
    return tuple(sorted(found)), tuple(found[tokens] for tokens in sorted(found))


def training_seconds(
    model: MaskedLanguageModel, corpus: Corpus, config: TrainingConfig, advance: Callable[[], None]
) -> float:
    """Seconds a token of a training step, pads not counted, from a few steps.

    Args:
        model: Loaded for nothing else: the steps change its weights.
        corpus: What to train on.
        config: Of the training.
        advance: Called after each of the first five steps.
    """
    optimiser = make_optimiser(model.network, config)
    model.network.train()
    seconds, tokens = 0.0, 0
    for index, batches in enumerate(training_batches(corpus, model.tokeniser, config, 0, _MOST_STEPS)):
        if index >= _STEPS and seconds > _STEPS_S:
            break
        started = _now(model)
        for batch in batches:
            with autocast(config.precision, model.device):
                loss = batch_loss(model, batch.to(model.device))
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.network.parameters(), config.gradient_clip)
        optimiser.step()
        optimiser.zero_grad()
        if index >= _UNTIMED_STEPS:
            seconds += _now(model) - started
            tokens += sum(batch.real_tokens for batch in batches)
        if index < _STEPS:
            advance()
    model.network.eval()
    return seconds / max(1, tokens)


def _training(
    model: MaskedLanguageModel, pool: Pool, config: TrainingConfig, advance: Callable[[], None]
) -> tuple[float, float]:
    """Seconds a token of a training step, and of measuring a masked loss."""
    chosen = np.random.default_rng(0).choice(len(pool), size=min(_SAMPLED, len(pool)), replace=False)
    corpus = Corpus.of(pool.take(np.sort(chosen)), model, "sample")
    train_s = training_seconds(model, corpus, config, advance)
    few = Corpus.of(pool.take(np.sort(chosen[: max(1, len(chosen) // 8)])), model, "sample")
    measure(model, few, config, gradient=True)
    started = _now(model)
    measure(model, few, config, gradient=True)
    measure_s = (_now(model) - started) / len(few.tokens.tokens)
    advance()
    return train_s, measure_s


def _special_tokens(model: MaskedLanguageModel, pool: Pool) -> int:
    block = pool.read(0, 1)
    tokens = model.tokeniser.encode(block, model.maximum_residues)
    return int(tokens.lengths[0]) - min(int(block.lengths[0]), model.maximum_residues)


def _now(model: MaskedLanguageModel) -> float:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter()


def _peak_bytes() -> int:
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
