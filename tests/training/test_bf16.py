"""Training in bf16 on a processor; one without bf16 units computes the same in emulation."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import Precision, TrainingConfig, train
from bioprune_core.training.optimisation import autocast, uses_bf16

CONFIG = TrainingConfig(
    steps=12, token_budget=256, learning_rate=3e-3, checkpoint_every_steps=4, precision=Precision.BF16
)
CPU = torch.device("cpu")
Maker = Callable[..., MaskedLanguageModel]


@pytest.fixture(autouse=True)
def a_processor_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioprune_core.training.optimisation.computes_in_bf16", lambda _: True)


def test_losses_are_those_of_float32_to_the_digits_of_bf16(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    halves = train(make_model(), block, CONFIG, tmp_path / "bf16").curve.loss
    exact = train(make_model(), block, replace(CONFIG, precision="float32"), tmp_path / "32").curve.loss
    assert halves != exact
    assert np.allclose(halves, exact, rtol=2e-2)


def test_an_interrupted_training_goes_on_to_the_same_losses(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done == 6:
            raise KeyboardInterrupt

    whole = train(make_model(), block, CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(make_model(), block, CONFIG, tmp_path / "resumed", interrupt)
    assert train(make_model(), block, CONFIG, tmp_path / "resumed").curve.loss == whole.curve.loss


def test_attention_is_computed_in_float32_between_products_in_bf16() -> None:
    query = torch.randn(1, 2, 5, 4, dtype=torch.bfloat16, requires_grad=True)
    mask = torch.zeros(1, 1, 5, 5, dtype=torch.bfloat16)
    exact = functional.scaled_dot_product_attention(query.float(), query.float(), query.float())
    with autocast(Precision.BF16, CPU):
        found = functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert found.dtype == product.dtype == torch.bfloat16
    assert torch.equal(found, exact.to(torch.bfloat16))
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert query.grad is not None


def test_a_processor_trains_in_float32_unless_asked() -> None:
    assert not uses_bf16(Precision.AUTO, CPU)
    assert uses_bf16(Precision.BF16, CPU)
