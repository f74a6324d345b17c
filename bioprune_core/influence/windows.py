"""Sequences as the passes see them: whole, truncated, or longer ones in several windows.

A sequence of n residues, of which a model takes m at most, is cut into W = ceil(n / m) windows whose lengths
differ by one at most, each with its own cls and eos. All predicted tokens of all windows weigh the same in
the loss, and the gradients of the windows are summed before they are squared: W windows of a sequence are
like its masked copies, rows of one forward pass that belong to one sequence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.hashing import mix_words
from bioprune_core.influence.configuration import PAPER_CODE_TOKENS, InfluenceConfig, Objective, TooLong
from bioprune_core.influence.masked_objective import copies_in_passes, masked_copies
from bioprune_core.influence.objective import LossTerms, SequenceGroup, length_multiple
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import TokenBatch, pad_batch
from bioprune_core.models.tokeniser import TokenBlock
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["EncodedBlock", "encode_block", "refuse_long", "window_hashes", "windowed_groups"]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedBlock:
    """The tokens of n sequences, each in one piece or in several windows.

    Args:
        tokens: Of all pieces, those of a sequence behind one another, in the order of the sequences.
        owners: Which sequence each piece is of, int64, ascending, shape (pieces,).
    """

    tokens: TokenBlock
    owners: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sequence, cls and eos of every window included; int64, shape (n,)."""
        return np.bincount(self.owners, weights=self.tokens.lengths).astype(np.int64)

    @property
    def windows(self) -> NDArray[np.int64]:
        """Pieces of each sequence, int64, shape (n,)."""
        return np.bincount(self.owners)

    @property
    def windowed(self) -> int:
        """How many sequences are in several windows."""
        return int(np.count_nonzero(self.windows > 1))

    def take(self, sequences: NDArray[np.int64]) -> TokenBlock:
        """The pieces of some sequences, ascending."""
        return self.tokens.take(np.flatnonzero(np.isin(self.owners, sequences)))

    def part(self, sequences: NDArray[np.int64]) -> "EncodedBlock":
        """Some sequences, ascending, as a block of their own, which does not count the truncated ones."""
        owners = np.repeat(np.arange(len(sequences)), self.windows[sequences])
        return EncodedBlock(self.take(sequences), owners)


def encode_block(model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig) -> EncodedBlock:
    """Tokenise a block under the configuration's policy for long sequences.

    Raises:
        InputError: The policy is `refuse` and a sequence is longer than the limit of the model or objective.
    """
    refuse_long(model, block.lengths, config, block.positions)
    longest, _ = _limit(model, config)
    if config.too_long is TooLong.WINDOW:
        whole = model.tokeniser.encode(block, max(longest, int(block.lengths.max())))
        return _cut(model, whole, longest)
    tokens = model.tokeniser.encode(block, longest)
    return EncodedBlock(tokens, np.arange(len(tokens)))


def refuse_long(
    model: MaskedLanguageModel,
    lengths: NDArray[np.integer],
    config: InfluenceConfig,
    positions: NDArray[np.int64] | None = None,
) -> None:
    """Stop where the policy is `refuse` and a sequence is longer than the limit of the model or objective.

    Args:
        model: Whose limit it is.
        lengths: Residues, shape (n,).
        config: The policy and the objective.
        positions: Of the sequences in the pool, shape (n,); None where they are all of it.

    Raises:
        InputError: There is one; says how many there are, and which is the longest.
    """
    longest, who = _limit(model, config)
    if config.too_long is not TooLong.REFUSE or not (count := int((lengths > longest).sum())):
        return
    row = int(lengths.argmax())
    raise InputError(
        f"{count:,} {'sequence is' if count == 1 else 'sequences are'} longer than the {longest:,} residues "
        f"that {who} takes, such as the one at position {row if positions is None else positions[row]} with "
        f"{lengths[row]:,}. Leave them out, split them, or have them truncated (too_long=truncate) "
        "or scored in windows (too_long=window)."
    )


def _limit(model: MaskedLanguageModel, config: InfluenceConfig) -> tuple[int, str]:
    """Residues of a sequence that can be scored as a whole, and what sets the limit."""
    if config.objective is Objective.PAPER_CODE and model.maximum_residues > PAPER_CODE_TOKENS - 2:
        return PAPER_CODE_TOKENS - 2, f"the objective {config.objective}"
    return model.maximum_residues, model.name


def windowed_groups(
    model: MaskedLanguageModel, encoded: EncodedBlock, hashes: NDArray[np.uint64], config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    """The sequences in several windows, each a group of its own, the longest first.

    Args:
        model: Whose special tokens, residues and device are used; it is not run.
        encoded: n sequences.
        hashes: Their hashes, uint64, shape (n,).
        config: Objective `unmasked` or `masked`, token budget. Windows that exceed it together are spread
            over several forward passes.
    """
    lengths, windows = encoded.lengths, encoded.windows
    long = np.flatnonzero(windows > 1)
    for row in long[np.argsort(-lengths[long], kind="stable")]:
        count = int(windows[row])
        batch = pad_batch(
            encoded.take(np.array([row])),
            np.arange(count),
            model.tokeniser.pad_id,
            length_multiple(model, config),
        )
        if config.objective is Objective.MASKED:
            terms = _masked(model, batch, window_hashes(hashes[row], count), config)
        else:
            real = batch.attention_mask.to(torch.float64)
            weights = real / real.sum()
            terms = LossTerms(batch.tokens, batch.attention_mask, batch.tokens, weights, count, count)
        width = batch.tokens.shape[1]
        passes = copies_in_passes(terms, max(1, config.batch_tokens // width))
        yield SequenceGroup(
            rows=np.array([row]),
            lengths=lengths[row : row + 1],
            extents=[width],
            forwards=tuple(each.to(model.device) for each in passes),
            windows=count,
        )


def window_hashes(sequence_hash: np.uint64, count: int) -> NDArray[np.uint64]:
    """What the masks of each window are drawn by: a function of the sequence and the window's number."""
    return mix_words(sequence_hash ^ mix_words(np.arange(1, count + 1, dtype=np.uint64)))


def _cut(model: MaskedLanguageModel, whole: TokenBlock, longest: int) -> EncodedBlock:
    """Cut the sequences of more residues than `longest` into windows of nearly equal length."""
    residues = whole.lengths - 2
    windows = np.maximum(1, -(-residues // longest))
    owners = np.repeat(np.arange(len(whole)), windows)
    if (windows == 1).all():
        return EncodedBlock(whole, owners)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(windows) - windows, windows)
    total, parts = residues[owners], windows[owners]
    first, last = number * total // parts, (number + 1) * total // parts
    kept = last - first
    offsets = np.concatenate([[0], np.cumsum(kept + 2)]).astype(np.int64)
    tokens = np.empty(offsets[-1], dtype=whole.tokens.dtype)
    inner = np.ones(len(tokens), dtype=bool)
    for places, token in ((offsets[:-1], model.tokeniser.cls_id), (offsets[1:] - 1, model.tokeniser.eos_id)):
        tokens[places], inner[places] = token, False
    inside = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
    # Behind the sequence's own cls.
    tokens[inner] = whole.tokens[np.repeat(whole.offsets[:-1][owners] + 1 + first, kept) + inside]
    return EncodedBlock(TokenBlock(tokens, offsets), owners)


def _masked(
    model: MaskedLanguageModel, batch: TokenBatch, hashes: NDArray[np.uint64], config: InfluenceConfig
) -> LossTerms:
    """The masked copies of W windows, draw by draw; all targets of a draw weigh the same."""
    copies = masked_copies(model, batch, hashes, config)
    windows, draws = len(hashes), config.masks

    def by_draw(rows: torch.Tensor) -> torch.Tensor:
        return rows.reshape(windows, draws, -1).transpose(0, 1).reshape(windows * draws, -1)

    chosen = (by_draw(copies.weights) > 0).reshape(draws, -1)
    targets = chosen.sum(dim=1, keepdim=True).clamp(min=1)
    weights = chosen.double() / (targets * float(draws))
    return replace(
        copies,
        inputs=by_draw(copies.inputs),
        attention_mask=by_draw(copies.attention_mask),
        targets=by_draw(copies.targets),
        weights=weights.reshape(windows * draws, -1),
        copies=windows * draws,
        even_copies=windows * copies.even_copies,
    )
