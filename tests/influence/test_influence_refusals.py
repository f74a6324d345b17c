"""What is wrong is named, and never becomes a score."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from bioprune_core.errors import InputError, ModelError, StageError
from bioprune_core.influence import (
    InfluenceConfig,
    accumulate_fisher,
    fisher_diagonal,
    score_block,
    score_sequences,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

MakeBlock = Callable[..., SequenceBlock]
CONFIG = InfluenceConfig()


def letter_breaks(model: MaskedLanguageModel, letter: str, value: float) -> MaskedLanguageModel:
    """A copy of the model in which sequences with `letter` have a damaged input."""
    broken = copy.deepcopy(model)
    with torch.no_grad():
        embedding = broken.network.get_input_embeddings().weight
        # The decoder is tied to the embedding; only the input is to be damaged.
        broken.network.lm_head.decoder.weight = torch.nn.Parameter(embedding.clone())
        embedding[int(broken.tokeniser.table[ord(letter)])] = value
    return broken


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_positions_of_scores_that_are_not_finite_are_named(
    rna_model: MaskedLanguageModel, value: float
) -> None:
    block = SequenceBlock.from_strings(["ACGU", "ACGN", "GGG", "NN"])
    block = SequenceBlock(block.blob, block.offsets, block.hashes, np.array([70, 71, 72, 73]))
    fisher = fisher_diagonal([accumulate_fisher(rna_model, block, CONFIG)])
    broken = letter_breaks(rna_model, "N", value)
    with pytest.raises(StageError, match=r"2 of 4 sequences is NaN or infinite \(positions 71, 73\)"):
        score_block(broken, block, fisher, CONFIG)
    with pytest.raises(StageError, match=r"positions 71, 73"):
        accumulate_fisher(broken, block, CONFIG)


def test_many_bad_positions_are_counted_and_ten_named(rna_model: MaskedLanguageModel) -> None:
    block = SequenceBlock.from_strings(["AN" + "ACGU" * size for size in range(30)])
    with pytest.raises(StageError, match=r"positions 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more"):
        accumulate_fisher(letter_breaks(rna_model, "N", float("nan")), block, CONFIG)


def test_embeddings_beyond_half_precision_are_clipped_and_counted(
    rna_model: MaskedLanguageModel, make_block: MakeBlock
) -> None:
    block = make_block(rna_model, 6)
    huge = copy.deepcopy(rna_model)
    with torch.no_grad():
        # The last norm of the backbone makes the head's input; one of its features is enough.
        huge.network.esm.encoder.emb_layer_norm_after.bias[3] = 1e6
    fisher = fisher_diagonal([accumulate_fisher(huge, block, CONFIG)])
    scores = score_block(huge, block, fisher, CONFIG)
    assert scores.clipped == 6
    assert scores.embedding is not None and np.isfinite(scores.embedding).all()
    assert (scores.embedding[:, 3] == np.finfo(np.float16).max).all()


def test_fisher_of_another_model(rna_model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(rna_model, 2)
    with pytest.raises(InputError, match=r"shape \(3, 3\).*\(128, 128\)"):
        score_block(rna_model, block, np.ones((3, 3)), CONFIG)
    with pytest.raises(InputError, match="negative, NaN or infinite"):
        score_block(rna_model, block, np.full((128, 128), np.nan), CONFIG)


def test_nothing_to_score(rna_model: MaskedLanguageModel) -> None:
    with pytest.raises(InputError, match="at least one"):
        score_sequences(rna_model, [])
    with pytest.raises(InputError, match="at least one sequence"):
        fisher_diagonal([])
    with pytest.raises(InputError, match="no sequences"):
        score_block(rna_model, SequenceBlock.from_strings([]), np.ones((128, 128)), CONFIG)
    with pytest.raises(InputError, match="at least one sequence"):
        accumulate_fisher(rna_model, SequenceBlock.from_strings([]), CONFIG)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        (["ACGU", ""], "Sequence 1 is empty"),
        (["ACGU", "ACJU"], "Sequence 1 has 'J' at place 3"),
        (["ACG-U"], "Sequence 0 has '-' at place 4"),
        (["ACGÜ"], "Sequence 0 .* not ASCII"),
        ("ACGU", "list"),
    ],
)
def test_sequences_that_are_none(rna_model: MaskedLanguageModel, sequences: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_sequences(rna_model, sequences)


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ([], "empty"),
        ([0, 3], "Position 3 .* 0 to 2"),
        ([-1, 0], "Position -1"),
        ([1, 1], "distinct"),
        ([0.5], "whole numbers"),
    ],
)
def test_subsets_that_are_none(rna_model: MaskedLanguageModel, subset: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_sequences(rna_model, ["ACGU", "GG", "AA"], subset)


@pytest.mark.parametrize(
    ("name", "value"),
    [("objective", "perplexity"), ("parameters", "all-layers"), ("too_long", "sliding")],
)
def test_what_is_not_available_is_named_with_what_is(
    rna_model: MaskedLanguageModel, name: str, value: str
) -> None:
    with pytest.raises(InputError, match=f"{name} '{value}' is not available; supported: "):
        score_sequences(rna_model, ["ACGU"], **{name: value})


def test_a_head_without_a_linear_decoder(rna_model: MaskedLanguageModel) -> None:
    network = copy.deepcopy(rna_model.network)
    network.lm_head.decoder = torch.nn.Identity()
    with pytest.raises(ModelError, match="head"):
        MaskedLanguageModel(
            "odd", rna_model.architecture, rna_model.alphabet, network, rna_model.tokeniser, 1022
        )


def test_a_setting_of_another_type_is_refused_in_a_sentence() -> None:
    for wrong in ({"damping": "1e-8"}, {"unscored_limit": "0.1"}):
        with pytest.raises(InputError, match="wrong type"):
            InfluenceConfig.from_json(wrong)


def test_long_sequences_are_truncated_and_counted_or_refused(rna_model: MaskedLanguageModel) -> None:
    short = copy.copy(rna_model)
    short.maximum_residues = 5
    scores = score_sequences(short, ["ACGUACGU", "ACGUA", "ACG"])
    assert scores.truncated == 1
    assert scores.tokens.tolist() == [7, 7, 5]
    assert scores.loss[0] == pytest.approx(scores.loss[1], rel=1e-6)
    with pytest.raises(InputError, match=r"1 sequences? .* longer than the 5 residues .* position 0 with 8"):
        score_sequences(short, ["ACGUACGU", "ACGUA", "ACG"], too_long="refuse")
