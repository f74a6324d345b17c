"""From sequences to the masked batches of every optimiser step."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.models import ByteTokeniser, MaskedLanguageModel, TokenBlock, pad_batch, plan_batches
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training.config import TrainingConfig
from bioprune_core.training.masking import EVALUATION_DRAW, mask_tokens

__all__ = [
    "Corpus",
    "MaskedBatch",
    "evaluation_batches",
    "sequences_per_step",
    "steps_in_all",
    "training_batches",
]

# Batches made ahead while the model works on the current one.
_AHEAD = 2
# Letters tokenised at once, which takes 5 MB beside the tokens. All letters at once took up to 13 times the
# memory of the tokens, and twice the processor time (100,000 sequences of 300 nt).
_LETTERS = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Tokenised sequences that have something to predict.

    Args:
        tokens: The tokens of n sequences, each with at least one unambiguous residue.
        hashes: Their sequence hashes, uint64, shape (n,).
        unusable: How many sequences were left out because all their letters are ambiguous.
    """

    tokens: TokenBlock
    hashes: NDArray[np.uint64]
    unusable: int

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def of(cls, block: SequenceBlock, model: MaskedLanguageModel, what: str) -> "Corpus":
        """Tokenise a block for a model.

        Args:
            block: Normalised sequences.
            model: Whose tokeniser and maximum length apply.
            what: What the sequences are, for messages: "subset", "held-out slice".

        Raises:
            InputError: No sequence has an unambiguous residue.
        """
        # With a cls and an eos for each; what is not filled in the end takes no memory.
        tokens = np.empty(np.minimum(block.lengths, model.maximum_residues).sum() + 2 * len(block), np.int16)
        usable, lengths = np.zeros(len(block), dtype=bool), np.zeros(len(block), dtype=np.int64)
        filled, truncated = 0, 0
        for rows, part in _parts(block):
            encoded = model.tokeniser.encode(part, model.maximum_residues)
            truncated += encoded.truncated
            residues = np.isin(encoded.tokens, model.tokeniser.residue_ids)
            # No sequence of tokens is empty, which `reduceat` would take for one of the next token.
            usable[rows] = np.logical_or.reduceat(residues, encoded.offsets[:-1])
            lengths[rows] = encoded.lengths
            kept = encoded.take(np.flatnonzero(usable[rows])).tokens
            tokens[filled : filled + len(kept)] = kept
            filled += len(kept)
        if not usable.any():
            raise InputError(
                f"None of the {len(block)} sequences of the {what} has an unambiguous {model.alphabet.value} "
                f"residue ({model.alphabet.residues}), so there is nothing to predict. Check that the "
                "sequences and the model have the same alphabet."
            )
        offsets = np.concatenate([[0], np.cumsum(lengths[usable])]).astype(np.int64)
        unusable = len(block) - int(np.count_nonzero(usable))
        return cls(TokenBlock(tokens[:filled], offsets, truncated), block.hashes[usable], unusable)

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the tokens and their division into sequences."""
        digest = hashlib.sha256(self.tokens.offsets.data)
        digest.update(self.tokens.tokens.data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class MaskedBatch:
    """B masked sequences padded to T tokens, with P targets in all.

    Args:
        inputs: Token ids as the model sees them, int64, shape (B, T).
        attention_mask: True at real tokens, bool, shape (B, T).
        places: Where the targets are in the flattened batch, int64, ascending, shape (P,).
        labels: The original token ids there, int64, shape (P,).
        rows: Which sequence of the corpus each row is, int64, shape (B,).
        counts: Targets of each row, int64, shape (B,); all at least 1.
        real_tokens: Tokens that are not pads.
    """

    inputs: torch.Tensor
    attention_mask: torch.Tensor
    places: torch.Tensor
    labels: torch.Tensor
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    real_tokens: int

    def to(self, device: torch.device) -> "MaskedBatch":
        """The same batch on a device."""
        return MaskedBatch(
            self.inputs.to(device),
            self.attention_mask.to(device),
            self.places.to(device),
            self.labels.to(device),
            self.rows,
            self.counts,
            self.real_tokens,
        )


def steps_in_all(corpus: Corpus, config: TrainingConfig) -> int:
    """Optimiser steps of a training: as configured, or the steps of its epochs or tokens, rounded up."""
    if config.steps is not None:
        return config.steps
    if config.tokens is not None:
        return _steps_to_reach(config.tokens, corpus, config)
    return int(np.ceil(config.epochs * len(_epoch_plan(corpus, config, 0)) - 1e-9))


def sequences_per_step(corpus: Corpus, config: TrainingConfig) -> float:
    """Sequences of an optimiser step, on average."""
    return len(corpus) / len(_epoch_plan(corpus, config, 0))


def training_batches(
    corpus: Corpus,
    tokeniser: ByteTokeniser,
    config: TrainingConfig,
    start: int,
    stop: int,
    *,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[tuple[MaskedBatch, ...]]:
    """The batches of the steps start..stop-1 that one process passes through its model, step by step.

    Step s is a function of corpus, configuration and s alone, so a resumed training sees what an
    uninterrupted one would have seen. Sequences of like length share a step; which ones do, and the order
    of the steps, is drawn anew every epoch. Batches are made in a thread, a little ahead.

    Args:
        corpus: What to train on.
        tokeniser: The model's.
        config: The token budgets of a step and of a batch, masks, seed.
        start: First step, from 0.
        stop: The step behind the last.
        rank: This process, from 0.
        ranks: How many processes share every step: each has every `ranks`-th of its sequences.

    Yields:
        The batches of a step whose gradients are to be added; none where the step has fewer sequences than
        there are processes.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as thread:
        waiting: list[Future[tuple[MaskedBatch, ...]]] = []
        for epoch, rows in _epochs(corpus, config, start, stop):
            waiting.append(thread.submit(_step_batches, corpus, tokeniser, config, rows[rank::ranks], epoch))
            if len(waiting) > _AHEAD:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def evaluation_batches(
    corpus: Corpus, tokeniser: ByteTokeniser, config: TrainingConfig, *, rank: int = 0, ranks: int = 1
) -> Iterator[MaskedBatch]:
    """Every sequence once, with the one mask that all measurements under the configuration's seed share.

    Of several processes each has every `ranks`-th sequence. In batches that fit where those of training do:
    of at most the tokens that a device takes at once.
    """
    budget = min(config.token_budget, config.device_tokens or -(-config.token_budget // ranks))
    own = np.arange(len(corpus))[rank::ranks]
    if len(own) == 0:
        return
    for rows in plan_batches(corpus.tokens.lengths[own], budget, 1, config.length_multiple):
        yield _masked_batch(corpus, tokeniser, config, own[rows], EVALUATION_DRAW)


def _parts(block: SequenceBlock) -> Iterator[tuple[slice, SequenceBlock]]:
    """The sequences of a block in parts of about `_LETTERS` letters, without a copy of them."""
    starts = np.searchsorted(block.offsets[:-1], np.arange(0, len(block.blob) + 1, _LETTERS))
    for start, stop in pairwise(np.unique([*starts, len(block)]).tolist()):
        rows, offsets = slice(start, stop), block.offsets[start : stop + 1]
        letters = block.blob[offsets[0] : offsets[-1]]
        yield rows, SequenceBlock(letters, offsets - offsets[0], block.hashes[rows], block.positions[rows])


def _epochs(
    corpus: Corpus, config: TrainingConfig, start: int, stop: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    step, epoch = 0, 0
    while step < stop:
        plan = _epoch_plan(corpus, config, epoch)
        for index in range(max(0, start - step), min(len(plan), stop - step)):
            yield epoch, plan[index]
        step += len(plan)
        epoch += 1


def _epoch_plan(corpus: Corpus, config: TrainingConfig, epoch: int) -> list[NDArray[np.int64]]:
    random = np.random.default_rng((config.seed, epoch))
    shuffled = random.permutation(len(corpus))
    # Lengths that are padded alike are equal here, so the stable sort of the planner keeps their shuffled
    # order. The number of batches depends on the sorted lengths only: it is the same in every epoch.
    plan = plan_batches(_padded(corpus, config, shuffled), config.token_budget)
    return [shuffled[plan[index]] for index in random.permutation(len(plan))]


def _padded(corpus: Corpus, config: TrainingConfig, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    multiple = config.length_multiple
    padded: NDArray[np.int64] = -(-corpus.tokens.lengths[rows].astype(np.int64) // multiple) * multiple
    return padded


def _steps_to_reach(tokens: int, corpus: Corpus, config: TrainingConfig) -> int:
    """The least number of steps with at least that many tokens."""
    epochs, rest = divmod(tokens, int(corpus.tokens.lengths.sum()))
    plan = _epoch_plan(corpus, config, epochs)
    # Shape (steps of an epoch,): tokens done after each.
    done = np.cumsum([int(corpus.tokens.lengths[rows].sum()) for rows in plan])
    return epochs * len(plan) + (int(np.searchsorted(done, rest)) + 1 if rest else 0)


def _step_batches(
    corpus: Corpus, tokeniser: ByteTokeniser, config: TrainingConfig, rows: NDArray[np.int64], draw: int
) -> tuple[MaskedBatch, ...]:
    budget = config.token_budget if config.device_tokens is None else config.device_tokens
    # By padded lengths, as the step was planned: without a budget of the device it stays one batch.
    plan = plan_batches(_padded(corpus, config, rows), budget)
    return tuple(_masked_batch(corpus, tokeniser, config, rows[part], draw) for part in plan)


def _masked_batch(
    corpus: Corpus,
    tokeniser: ByteTokeniser,
    config: TrainingConfig,
    rows: NDArray[np.int64],
    draw: int,
) -> MaskedBatch:
    taken = corpus.tokens.take(rows)
    masked = mask_tokens(
        taken.tokens,
        taken.offsets,
        corpus.hashes[rows],
        residue_ids=tokeniser.residue_ids,
        mask_id=tokeniser.mask_id,
        seed=config.seed,
        draw=draw,
        rate=config.mask_rate,
    )
    batch = pad_batch(
        TokenBlock(masked.inputs.astype(np.int16), taken.offsets),
        np.arange(len(rows)),
        tokeniser.pad_id,
        config.length_multiple,
    )
    # Row-major, the real tokens of the padded matrix are the flat tokens in their order.
    places = np.flatnonzero(batch.attention_mask.numpy())[masked.targets]
    return MaskedBatch(
        batch.tokens,
        batch.attention_mask,
        torch.from_numpy(places),
        torch.from_numpy(taken.tokens[masked.targets].astype(np.int64)),
        rows,
        np.add.reduceat(masked.targets, taken.offsets[:-1], dtype=np.int64),
        len(taken.tokens),
    )
