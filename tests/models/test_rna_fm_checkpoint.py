"""An official RNA-FM file gives the authors' logits, and nothing but weights is read from it."""

import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from official_layouts import rna_fm_logits, rna_fm_state

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models import Architecture, load_model, pad_batch
from bioprune_core.sequences.block import SequenceBlock

HEADS = 4
SEQUENCES = ["ACGU" * 12, "GGNRYCAUX-", "A", "ACGUU" * 7]


def write(path: Path, state: dict[str, torch.Tensor], **arguments: Any) -> Path:
    namespace = argparse.Namespace(arch="roberta_large", encoder_attention_heads=HEADS, **arguments)
    history = [{"optimizer_name": "FairseqAdam", "num_updates": 7}]
    torch.save({"args": namespace, "model": state, "optimizer_history": history, "extra_state": None}, path)
    return path


def batch(model: Any) -> Any:
    tokens = model.tokeniser.encode(SequenceBlock.from_strings(SEQUENCES), model.maximum_residues)
    return pad_batch(tokens, np.arange(len(SEQUENCES)), model.tokeniser.pad_id)


@pytest.mark.parametrize("token_dropout", [None, False, True])
def test_logits_are_the_authors(token_dropout: bool | None, tmp_path: Path) -> None:
    state = rna_fm_state()
    arguments = {} if token_dropout is None else {"token_dropout": token_dropout}
    model = load_model(write(tmp_path / "RNA-FM_pretrained.pth", state, **arguments))
    inputs = batch(model)
    inputs.tokens[0, 3:9] = model.tokeniser.mask_id
    with torch.inference_mode():
        logits = model.logits(inputs.tokens, inputs.attention_mask)
        expected = rna_fm_logits(state, inputs.tokens, HEADS, bool(token_dropout))
    real = inputs.attention_mask
    torch.testing.assert_close(logits[real], expected[real], rtol=1e-4, atol=1e-4)


def test_what_is_known_about_it(tmp_path: Path) -> None:
    model = load_model(write(tmp_path / "RNA-FM_pretrained.pth", rna_fm_state()))
    assert (model.architecture, model.alphabet) == (Architecture.RNA_FM, Alphabet.RNA)
    assert model.maximum_residues == 1022
    assert model.name == "RNA-FM_pretrained"
    assert model.tokeniser.mask_id == 24
    assert model.tokeniser.residue_ids.tolist() == [4, 5, 6, 7]
    assert not model.network.training
    assert model.head.decoder_weight is model.network.get_input_embeddings().weight
    assert not model.head.decoder_weight[24].any()


def test_a_bare_state_dictionary_has_heads_of_32(tmp_path: Path) -> None:
    state = rna_fm_state(width=64)
    bare = {key.removeprefix("encoder.").removeprefix("sentence_encoder."): t for key, t in state.items()}
    torch.save(bare, tmp_path / "weights.pth")
    model = load_model(tmp_path / "weights.pth")
    inputs = batch(model)
    with torch.inference_mode():
        logits = model.logits(inputs.tokens, inputs.attention_mask)
    real = inputs.attention_mask
    expected = rna_fm_logits(state, inputs.tokens, heads=2)
    torch.testing.assert_close(logits[real], expected[real], rtol=1e-4, atol=1e-4)


class Payload:
    """Unpickling it would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    path, evidence = tmp_path / "evil.pth", tmp_path / "ran"
    if zipped:
        torch.save({"model": rna_fm_state(), "args": Payload(evidence)}, path)
    else:
        path.write_bytes(pickle.dumps({"model": Payload(evidence)}, protocol=2))
    with pytest.raises(ModelError, match="holds more than weights"):
        load_model(path)
    assert not evidence.exists()


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "half.pth", rna_fm_state())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=r"half\.pth"):
        load_model(path)


def test_missing_and_strange_parts_are_named(tmp_path: Path) -> None:
    state = rna_fm_state()
    del state["encoder.sentence_encoder.layers.1.fc2.bias"]
    with pytest.raises(ModelError, match=r"esm\.encoder\.layer\.1\.output\.dense\.bias missing"):
        load_model(write(tmp_path / "a.pth", state))
    state = rna_fm_state()
    state["encoder.lm_head.weight"] = state["encoder.lm_head.weight"] + 1
    with pytest.raises(ModelError, match="ties the two"):
        load_model(write(tmp_path / "b.pth", state))
    state = rna_fm_state()
    state["encoder.sentence_encoder.embed_tokens.weight"] = torch.zeros(96, 40)
    with pytest.raises(ModelError, match="96 tokens"):
        load_model(write(tmp_path / "c.pth", state))
    torch.save({"something": torch.zeros(3)}, tmp_path / "d.pth")
    with pytest.raises(ModelError, match="something"):
        load_model(tmp_path / "d.pth")
    torch.save([torch.zeros(3)], tmp_path / "e.pth")
    with pytest.raises(ModelError, match="list"):
        load_model(tmp_path / "e.pth")
