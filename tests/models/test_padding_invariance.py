"""Hidden states of a sequence do not depend on the batch it is in, nor on how attention is computed."""

from typing import Any

import numpy as np
import pytest
import torch

from bioprune_core.models import Architecture, create_model, pad_batch
from bioprune_core.sequences.block import SequenceBlock

FAMILIES = [(Architecture.RNA_FM, "rna"), (Architecture.ESM_2, "protein"), (Architecture.ESM_C, "protein")]
SEQUENCES = ["ACGGA", "CCGAGNAAG" * 9, "A", "GGAACC" * 5, "CAG" * 11]


@pytest.fixture(params=FAMILIES, ids=[family for family, _ in FAMILIES], scope="module")
def model(request: pytest.FixtureRequest) -> Any:
    architecture, alphabet = request.param
    made = create_model(architecture, "tiny", alphabet, seed=1)
    # Larger than at the start of training, so that attention is not nearly uniform.
    with torch.no_grad():
        for name, parameter in made.network.named_parameters():
            if parameter.dim() == 2 and "embed" not in name:
                parameter.mul_(4)
    return made


def inputs(model: Any, rows: list[int], multiple: int = 1) -> Any:
    tokens = model.tokeniser.encode(SequenceBlock.from_strings(SEQUENCES), model.maximum_residues)
    return pad_batch(tokens, np.array(rows), model.tokeniser.pad_id, multiple)


@torch.inference_mode()
def test_alone_together_or_padded_further(model: Any) -> None:
    together = inputs(model, [0, 1, 2, 3, 4])
    wide = inputs(model, [4, 3, 2, 1, 0], multiple=64)
    hidden = model.hidden_states(together.tokens, together.attention_mask)
    padded = model.hidden_states(wide.tokens, wide.attention_mask)
    for row in range(len(SEQUENCES)):
        single = inputs(model, [row])
        alone = model.hidden_states(single.tokens, single.attention_mask)[0]
        torch.testing.assert_close(hidden[row, : len(alone)], alone, rtol=1e-4, atol=2e-5)
        torch.testing.assert_close(padded[-1 - row, : len(alone)], alone, rtol=1e-4, atol=2e-5)


@torch.inference_mode()
def test_without_its_mask_a_padded_row_would_differ(model: Any) -> None:
    batch = inputs(model, [0, 1])
    right = model.logits(batch.tokens, batch.attention_mask)[0, :7]
    wrong = model.logits(batch.tokens, torch.ones_like(batch.attention_mask))[0, :7]
    assert float((right - wrong).abs().max()) > 1e-2


@torch.inference_mode()
def test_fused_and_plain_attention_agree(model: Any) -> None:
    batch = inputs(model, [0, 1, 2, 3, 4])
    real = batch.attention_mask
    assert model.network.config._attn_implementation == "sdpa"
    fused = model.logits(batch.tokens, batch.attention_mask)[real]
    model.network.set_attn_implementation("eager")
    try:
        plain = model.logits(batch.tokens, batch.attention_mask)[real]
    finally:
        model.network.set_attn_implementation("sdpa")
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=2e-5)


@torch.inference_mode()
def test_logits_are_the_networks_own(model: Any) -> None:
    batch = inputs(model, [0, 1, 2, 3, 4])
    own = model.network(input_ids=batch.tokens, attention_mask=batch.attention_mask.long()).logits
    torch.testing.assert_close(model.logits(batch.tokens, batch.attention_mask), own, rtol=1e-5, atol=1e-5)


def test_hidden_states_do_not_run_the_head(model: Any) -> None:
    called: list[str] = []
    handle = model.network.lm_head.register_forward_hook(lambda *_: called.append("head"))
    batch = inputs(model, [0])
    with torch.inference_mode():
        model.hidden_states(batch.tokens, batch.attention_mask)
    handle.remove()
    assert not called


def test_the_head_differentiates_to_the_networks_own_parameters(model: Any) -> None:
    batch = inputs(model, [0, 3])
    model.network.zero_grad()
    model.logits(batch.tokens, batch.attention_mask).logsumexp(-1).sum().backward()
    weight = dict(model.network.named_parameters())[model.head.dense_parameter_name]
    assert weight is model.head.dense.weight
    assert weight.grad is not None
    assert bool(weight.grad.any())
