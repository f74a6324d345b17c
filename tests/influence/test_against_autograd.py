"""Gradients, Fisher and scores equal those of plain autograd in float64, one sequence at a time."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference import Reference, fisher_of, influence_of
from torch import nn

from bioprune_core.influence import InfluenceConfig, accumulate_fisher, fisher_diagonal, score_block
from bioprune_core.influence.head_gradient import HeadGradient
from bioprune_core.influence.sequence_gradients import sequence_gradients, squared_lengths
from bioprune_core.models import LanguageModelHead, MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

RTOL = 1e-5


@pytest.fixture(scope="module")
def block(model: MaskedLanguageModel, make_block: Callable[..., SequenceBlock]) -> SequenceBlock:
    return make_block(model, 24)


@pytest.fixture(scope="module")
def expected(
    model: MaskedLanguageModel, block: SequenceBlock
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return Reference(model).gradients(block)


Expected = tuple[NDArray[np.float64], NDArray[np.float64]]


def test_losses_and_gradient_norms(
    model: MaskedLanguageModel, block: SequenceBlock, expected: Expected
) -> None:
    losses, gradients = expected
    scores = score_block(model, block, fisher_of(gradients), InfluenceConfig())
    np.testing.assert_allclose(scores.loss, losses, rtol=RTOL)
    np.testing.assert_allclose(scores.gradient_norm, np.sqrt((gradients**2).sum(axis=(1, 2))), rtol=RTOL)


def test_fisher(model: MaskedLanguageModel, block: SequenceBlock, expected: Expected) -> None:
    reference = fisher_of(expected[1])
    fisher = fisher_diagonal([accumulate_fisher(model, block, InfluenceConfig())])
    # Entry by entry; the floor is for the few whose terms cancel.
    np.testing.assert_allclose(fisher, reference, rtol=RTOL, atol=1e-9 * reference.max())


@pytest.mark.parametrize("damping", [1e-8, 1e-3])
def test_influence(
    model: MaskedLanguageModel, block: SequenceBlock, expected: Expected, damping: float
) -> None:
    config = InfluenceConfig(damping=damping)
    subset = np.arange(0, len(block), 2)
    fisher = fisher_diagonal([accumulate_fisher(model, block.take(subset), config)])
    scores = score_block(model, block, fisher, config)
    reference = influence_of(expected[1], fisher_of(expected[1][subset]), damping)
    np.testing.assert_allclose(scores.influence, reference, rtol=RTOL)


def plain_head(
    width: int, inner: int, vocabulary: int, decoder_scale: float, affine: bool, bias: bool
) -> LanguageModelHead:
    torch.manual_seed(width + inner)
    norm = nn.LayerNorm(inner, elementwise_affine=affine, bias=bias, eps=1e-5)
    if affine:
        nn.init.normal_(norm.weight, 1.0, 0.3)
    if affine and bias:
        nn.init.normal_(norm.bias, 0.0, 0.3)
    return LanguageModelHead(
        dense=nn.Linear(width, inner, bias=bias),
        norm=norm,
        decoder_weight=torch.randn(vocabulary, inner) * decoder_scale,
        decoder_bias=torch.randn(vocabulary) if bias else None,
        dense_parameter_name="dense.weight",
    )


def autograd_of_head(
    head: LanguageModelHead, hidden: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses and gradients of the dense weight by autograd in float64, sequence by sequence."""
    dense, norm = head.dense.double(), head.norm.double()
    losses, gradients = [], []
    for states, target, weight in zip(hidden.double(), targets, weights, strict=True):
        inner = norm(nn.functional.gelu(dense(states)))
        bias = None if head.decoder_bias is None else head.decoder_bias.double()
        logits = nn.functional.linear(inner, head.decoder_weight.double(), bias)
        loss = (nn.functional.cross_entropy(logits, target, reduction="none") * weight).sum()
        losses.append(loss.detach())
        gradients.append(torch.autograd.grad(loss, dense.weight)[0])
    return torch.stack(losses), torch.stack(gradients)


@pytest.mark.parametrize(("width", "inner", "vocabulary"), [(16, 16, 25), (24, 40, 33), (32, 8, 64)])
@pytest.mark.parametrize(("affine", "bias"), [(True, True), (True, False), (False, False)])
def test_closed_form_of_any_supported_head(
    width: int, inner: int, vocabulary: int, affine: bool, bias: bool
) -> None:
    head = plain_head(width, inner, vocabulary, 0.5, affine, bias)
    hidden = torch.randn(5, 11, width)
    targets = torch.randint(vocabulary, (5, 11))
    weights = torch.rand(5, 11, dtype=torch.float64)
    weights[2, 4:] = 0
    losses, delta = HeadGradient.of(head).deltas(hidden, targets, weights)
    gradients = torch.einsum("bto,bti->boi", delta, hidden)
    squares = torch.zeros(5, dtype=torch.float64)
    for part, _, gradient in sequence_gradients(delta, hidden, [11] * 5):
        squares[part] += squared_lengths(gradient[0])
    assert not delta[2, 4:].any()

    reference_losses, reference = autograd_of_head(head, hidden, targets, weights)
    torch.testing.assert_close(losses, reference_losses, rtol=RTOL, atol=0)
    torch.testing.assert_close(gradients.double(), reference, rtol=RTOL, atol=1e-6 * reference.abs().max())
    torch.testing.assert_close(squares, reference.square().sum(dim=(1, 2)), rtol=RTOL, atol=0)


def test_gradients_of_tokens_predicted_almost_surely() -> None:
    """1 - p has few digits in float32; a trained model copies unmasked tokens with p near 1."""
    head = plain_head(16, 16, 25, 6.0, affine=True, bias=True)
    hidden = torch.randn(40, 1, 16)
    with torch.no_grad():
        logits = head(hidden)
    targets = logits.argmax(dim=-1)
    weights = torch.ones(40, 1, dtype=torch.float64)
    losses, delta = HeadGradient.of(head).deltas(hidden, targets, weights)
    reference_losses, reference = autograd_of_head(head, hidden, targets, weights)
    assert reference_losses.median() < 1e-5
    torch.testing.assert_close(losses, reference_losses, rtol=1e-4, atol=0)
    norms = torch.einsum("bto,bti->boi", delta, hidden).double().flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, reference.flatten(1).norm(dim=1), rtol=1e-4, atol=0)
