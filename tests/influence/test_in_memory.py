"""Scores of sequences given in Python."""

import numpy as np
import pytest

from bioprune_core.influence import (
    InfluenceConfig,
    accumulate_fisher,
    fisher_diagonal,
    score_block,
    score_sequences,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock

SEQUENCES = ["ACGUACGGU", "GGGG", "AUAUAUAUCG", "CCNA", "U"]


def test_same_as_the_blocks(rna_model: MaskedLanguageModel) -> None:
    block = SequenceBlock.from_strings(SEQUENCES)
    fisher = fisher_diagonal([accumulate_fisher(rna_model, block.take(np.array([0, 2])), InfluenceConfig())])
    expected = score_block(rna_model, block, fisher, InfluenceConfig())
    scores = score_sequences(rna_model, SEQUENCES, subset=[2, 0])
    np.testing.assert_array_equal(scores.influence, expected.influence)
    np.testing.assert_array_equal(scores.loss, expected.loss)
    assert scores.tokens.tolist() == [len(sequence) + 2 for sequence in SEQUENCES]
    assert scores.influence.dtype == np.float64 and scores.loss.dtype == np.float32
    np.testing.assert_array_equal(
        score_sequences(rna_model, block, subset=[0, 2]).influence, scores.influence
    )


def test_case_and_thymine_are_normalised(rna_model: MaskedLanguageModel) -> None:
    plain = score_sequences(rna_model, SEQUENCES)
    other = score_sequences(rna_model, [sequence.lower().replace("u", "t") for sequence in SEQUENCES])
    np.testing.assert_array_equal(other.influence, plain.influence)


def test_progress_is_reported_for_both_passes(rna_model: MaskedLanguageModel) -> None:
    messages: list[Progress] = []
    score_sequences(rna_model, SEQUENCES, subset=[1], report=messages.append)
    last = {message.stage: message for message in messages}
    assert (last["fisher"].done, last["fisher"].total) == (1, 1)
    assert (last["score"].done, last["score"].total) == (5, 5)
    assert last["score"].metrics["sequences_per_s"] > 0
    tokens, sequences = (last["score"].metrics[name] for name in ("tokens_per_s", "sequences_per_s"))
    assert tokens / sequences == pytest.approx(sum(len(sequence) + 2 for sequence in SEQUENCES) / 5)
