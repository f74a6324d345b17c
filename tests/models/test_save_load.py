"""A saved model comes back bit for bit, whatever its architecture."""

from pathlib import Path

import pytest
import torch

from bioprune_core.models import Architecture, create_model, load_model, save_model

FAMILIES = [(Architecture.RNA_FM, "rna"), (Architecture.ESM_2, "protein"), (Architecture.ESM_C, "protein")]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("architecture", "alphabet"), FAMILIES)
def test_round_trip_is_exact(architecture: Architecture, alphabet: str, tmp_path: Path) -> None:
    model = create_model(architecture, "tiny", alphabet, seed=3)
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert again.content_hash == model.content_hash
    tokens = torch.tensor([[0, 4, 5, 6, 2]])
    mask = torch.ones_like(tokens, dtype=torch.bool)
    assert torch.equal(again.logits(tokens, mask), model.logits(tokens, mask))
    assert again.head.dense_parameter_name == "lm_head.dense.weight"
