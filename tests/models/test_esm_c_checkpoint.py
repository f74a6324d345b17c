"""An ESM-C file of December 2024 gives the authors' logits."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from official_layouts import esm_c_logits, esm_c_state

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models import Architecture, load_model, pad_batch
from bioprune_core.sequences.block import SequenceBlock

SEQUENCES = ["MKTAYIAKQRQISFVKSHFSRQ", "ACDXBZUOJ", "M", "LAGVSERTIDPKQNFYMHWC" * 3]


@pytest.mark.parametrize(
    "place", ["esmc.pth", "folder/data/weights/esmc_300m_2024_12_v0.pth", "esmc.safetensors"]
)
def test_logits_are_the_authors(place: str, tmp_path: Path) -> None:
    state = esm_c_state()
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    model = load_model(tmp_path / place.split("/")[0])
    tokens = model.tokeniser.encode(SequenceBlock.from_strings(SEQUENCES), model.maximum_residues)
    inputs = pad_batch(tokens, np.arange(len(SEQUENCES)), model.tokeniser.pad_id)
    with torch.inference_mode():
        logits = model.logits(inputs.tokens, inputs.attention_mask)
        expected = esm_c_logits(state, inputs.tokens)
    real = inputs.attention_mask
    torch.testing.assert_close(logits[real], expected[real], rtol=1e-4, atol=1e-4)
    assert (model.architecture, model.alphabet) == (Architecture.ESM_C, Alphabet.PROTEIN)
    assert model.maximum_residues == 2046


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    torch.save({name: tensor.bfloat16() for name, tensor in esm_c_state().items()}, tmp_path / "half.pth")
    assert load_model(tmp_path / "half.pth").dtype == torch.float32


def test_another_width_is_refused(tmp_path: Path) -> None:
    torch.save(esm_c_state(width=96), tmp_path / "odd.pth")
    with pytest.raises(ModelError, match="96 wide"):
        load_model(tmp_path / "odd.pth")
