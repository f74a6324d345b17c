"""The objective `paper-code` equals what it stands for: 1,024 tokens, pads attended to and in the loss."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference import Reference, fisher_of, influence_of

from bioprune_core.errors import InputError
from bioprune_core.influence import (
    InfluenceConfig,
    Objective,
    accumulate_fisher,
    fisher_diagonal,
    score_block,
    score_sequences,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

RTOL = 1e-5
CONFIG = InfluenceConfig(objective=Objective.PAPER_CODE, token_budget=4096)

MakeBlock = Callable[..., SequenceBlock]


def assert_equals(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    losses: NDArray[np.float64],
    gradients: NDArray[np.float64],
) -> None:
    reference = fisher_of(gradients)
    fisher = fisher_diagonal([accumulate_fisher(model, block, CONFIG)])
    # The floor is for entries whose terms cancel in float32.
    np.testing.assert_allclose(fisher, reference, rtol=RTOL, atol=1e-7 * reference.max())
    scores = score_block(model, block, reference, CONFIG)
    np.testing.assert_allclose(scores.loss, losses, rtol=RTOL)
    np.testing.assert_allclose(scores.gradient_norm, np.sqrt((gradients**2).sum(axis=(1, 2))), rtol=RTOL)
    np.testing.assert_allclose(
        scores.influence, influence_of(gradients, reference, CONFIG.damping), rtol=RTOL
    )


def test_against_autograd_on_1024_tokens(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 5, longest=200)
    assert_equals(model, block, *Reference(model, CONFIG).gradients(block))


def test_against_vectorised_jacobians_on_1024_tokens(
    model: MaskedLanguageModel, make_block: MakeBlock
) -> None:
    """As the authors compute them: vmap over sequences of jacrev of the loss by the head's weight."""
    block = make_block(model, 2)
    reference = Reference(model, CONFIG)
    network = reference.model.network
    network.set_attn_implementation("eager")
    name = reference.model.head.dense_parameter_name
    held = {key: value.detach() for key, value in network.named_parameters() if key != name}
    tokens = torch.stack([reference.padded(block.sequence(row)) for row in range(len(block))])

    def loss(weight: torch.Tensor, sequence: torch.Tensor) -> torch.Tensor:
        ids = sequence.unsqueeze(0)
        arguments = {"input_ids": ids, "attention_mask": torch.zeros(1, 1, 1, ids.shape[1]).double()}
        if model.network.config.model_type == "esm":
            embedded = network.esm.embeddings(input_ids=ids, attention_mask=torch.ones_like(ids))
            del arguments["input_ids"]
            arguments["inputs_embeds"] = embedded
        output = torch.func.functional_call(network, {name: weight, **held}, kwargs=arguments)
        return torch.nn.functional.cross_entropy(output.logits[0], sequence)

    weight = dict(network.named_parameters())[name].detach()
    losses = torch.stack([loss(weight, sequence) for sequence in tokens])
    gradients = torch.vmap(torch.func.jacrev(loss), in_dims=(None, 0))(weight, tokens)
    assert_equals(model, block, losses.detach().numpy(), gradients.detach().numpy())


def test_mask_tokens_that_are_dropped_change_nothing(
    rna_model: MaskedLanguageModel, make_block: MakeBlock
) -> None:
    """Token dropout rescales the embedding by the share of mask tokens among those attended to."""
    model = copy.deepcopy(rna_model)
    model.network.esm.embeddings.token_dropout = True
    block = make_block(model, 4)
    assert_equals(model, block, *Reference(model, CONFIG).gradients(block))


def test_one_pad_stands_for_all(rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    states = rna_model.hidden_states

    def count(tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(tokens.shape))
        return states(tokens, attention_mask)

    monkeypatch.setattr(rna_model, "hidden_states", count, raising=True)
    score_sequences(rna_model, ["ACGU" * 5, "GGC"], objective="paper-code")
    assert shapes == [(2, 23)] * 2


def test_lengths_at_the_limit(rna_model: MaskedLanguageModel) -> None:
    texts = ["ACGGU" * 300, "ACGGU" * 204 + "A", "ACGGU" * 204 + "AC"]
    block = SequenceBlock.from_strings(texts)
    losses, gradients = Reference(rna_model, CONFIG).gradients(block)
    assert_equals(rna_model, block, losses, gradients)
    scores = score_block(rna_model, block, fisher_of(gradients), CONFIG)
    assert scores.tokens.tolist() == [1024, 1023, 1024] and scores.truncated == 1


def test_long_sequences_of_a_network_that_takes_more(esm_c_model: MaskedLanguageModel) -> None:
    model = esm_c_model
    block = SequenceBlock.from_strings(["ACDE" * 300])
    fisher = np.ones(model.head.dense.weight.shape)
    assert score_block(model, block, fisher, CONFIG).tokens.tolist() == [1024]
    with pytest.raises(InputError, match=r"1,022 residues that the objective paper-code takes"):
        score_block(model, block, fisher, replace(CONFIG, too_long="refuse"))


@pytest.mark.parametrize("budget", [1, 100_000])
def test_batches_do_not_matter(model: MaskedLanguageModel, make_block: MakeBlock, budget: int) -> None:
    block = make_block(model, 6)
    fisher = fisher_diagonal([accumulate_fisher(model, block, CONFIG)])
    one = score_block(model, block, fisher, CONFIG)
    other = score_block(model, block, fisher, replace(CONFIG, token_budget=budget))
    np.testing.assert_allclose(other.influence, one.influence, rtol=RTOL)
    assert one.influence.mean() == pytest.approx((fisher / (fisher + CONFIG.damping)).sum(), rel=1e-7)


def test_a_network_of_fewer_tokens_is_refused(esm_c_model: MaskedLanguageModel) -> None:
    short = copy.copy(esm_c_model)
    short.maximum_residues = 510
    with pytest.raises(InputError, match=r"pads to 1,024 tokens, but .* takes 512"):
        score_sequences(short, ["ACDE"], objective="paper-code")
