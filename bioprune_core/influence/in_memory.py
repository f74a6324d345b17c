"""Scores of sequences given in Python, without files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.influence.configuration import InfluenceConfig, Objective, ParameterSet, Precision, TooLong
from bioprune_core.influence.fisher import accumulate_fisher, fisher_diagonal
from bioprune_core.influence.fisher_shards import checked_positions
from bioprune_core.influence.score import score_block
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["Scores", "score_sequences"]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of n sequences, in the order given.

    Args:
        influence: Self-influence, >= 0, float64, shape (n,).
        loss: Loss in nats a token, float32, shape (n,).
        tokens: Tokens scored, cls and eos included, int32, shape (n,).
        truncated: Sequences of which only the first residues were scored.
        halves: Influence by the masks of even number and by those of odd number, float64, shape (2, n); None
            unless the objective is "masked" with two masks or more.
    """

    influence: NDArray[np.float64]
    loss: NDArray[np.float32]
    tokens: NDArray[np.int32]
    truncated: int
    halves: NDArray[np.float64] | None = None


def score_sequences(
    model: MaskedLanguageModel,
    sequences: Sequence[str] | SequenceBlock,
    subset: Sequence[int] | NDArray[np.int64] | None = None,
    objective: str = Objective.UNMASKED,
    parameters: str | Sequence[str] = ParameterSet.HEAD,
    *,
    damping: float = 1e-8,
    token_budget: int | None = None,
    too_long: str = TooLong.TRUNCATE,
    masks: int = 8,
    mask_seed: int = 0,
    precision: str = Precision.AUTO,
    report: Reporter = discard,
) -> Scores:
    """Self-influence of sequences with respect to a subset of them.

    The model is taken as it is: fine-tune it on the subset first.

    Args:
        model: Any supported model, on any device.
        sequences: n sequences of the model's alphabet, n >= 1. Case does not matter, and T and U are the same
            letter for RNA and DNA.
        subset: Indices of the sequences that give the Fisher diagonal, distinct, in any order; None for all.
        objective: The per-sequence loss; "unmasked", "masked" (a forward pass for every mask) or
            "paper-code" (that of the authors' released code).
        parameters: The parameters under study; "head", "all-linear" (about a training step a sequence) or
            names of linear layers, wildcards allowed.
        damping: Added to the Fisher diagonal, > 0.
        token_budget: Tokens in a batch, pads included; None: what suits a processor.
        too_long: "truncate", "window" or "refuse" sequences longer than the model's limit.
        masks: Masks of a sequence under the objective "masked".
        mask_seed: Seed of those masks; another than the model was trained with, whose masks it knows.
        precision: "auto" (bf16 where device and parameters allow it), "float32" or "bf16", of the backbone.
        report: Told sequences done and throughput of the stages "fisher" and "score".

    Raises:
        InputError: There are no sequences, one is empty or has a letter outside the alphabet, or a parameter
            is not available; names it and what is.
        StageError: A score is NaN or infinite; names the indices.

    Source: method, section 3.
    """
    config = InfluenceConfig.from_json(
        {
            "objective": objective,
            "parameters": parameters if isinstance(parameters, str) else tuple(parameters),
            "damping": damping,
            "token_budget": token_budget,
            "too_long": too_long,
            "masks": masks,
            "mask_seed": mask_seed,
            "precision": precision,
        }
    )
    block = sequences if isinstance(sequences, SequenceBlock) else _block(sequences, model.alphabet)
    _check_letters(block, model.alphabet)
    rows = np.arange(len(block)) if subset is None else np.sort(np.asarray(subset))
    rows = checked_positions(rows, len(block))
    meter = ThroughputMeter("fisher", len(rows), report)
    fisher = fisher_diagonal([accumulate_fisher(model, block.take(rows), config, meter.advance)])
    meter.finish()
    meter = ThroughputMeter("score", len(block), report)
    scores = score_block(model, block, fisher, config, embeddings=False, advance=meter.advance)
    meter.finish()
    return Scores(scores.influence, scores.loss, scores.tokens, scores.truncated, scores.halves)


def _block(sequences: Sequence[str], alphabet: Alphabet) -> SequenceBlock:
    if isinstance(sequences, str):
        raise InputError("score_sequences takes a list of sequences; put a single one into a list.")
    synonyms = {Alphabet.RNA: ("T", "U"), Alphabet.DNA: ("U", "T")}
    normalised = []
    for index, sequence in enumerate(sequences):
        if not sequence.isascii():
            raise InputError(
                f"Sequence {index} has letters that are not ASCII; write it in the letters of {alphabet}."
            )
        letters = sequence.upper()
        normalised.append(letters.replace(*synonyms[alphabet]) if alphabet in synonyms else letters)
    return SequenceBlock.from_strings(normalised)


def _check_letters(block: SequenceBlock, alphabet: Alphabet) -> None:
    if not len(block):
        raise InputError("There are no sequences to score; give at least one.")
    if not (lengths := block.lengths).all():
        raise InputError(f"Sequence {int(lengths.argmin())} is empty; leave it out.")
    allowed = np.zeros(256, dtype=bool)
    allowed[list((alphabet.residues + alphabet.ambiguous).encode())] = True
    wrong = np.flatnonzero(~allowed[block.blob])
    if len(wrong):
        index = int(np.searchsorted(block.offsets, wrong[0], side="right")) - 1
        letter = chr(block.blob[wrong[0]])
        raise InputError(
            f"Sequence {index} has {letter!r} at place {wrong[0] - block.offsets[index] + 1}; {alphabet} has "
            f"{alphabet.residues} and the ambiguous letters {alphabet.ambiguous}. Replace it or leave the "
            "sequence out."
        )
