"""A saved model comes back bit for bit, whatever its architecture; its content hash says so."""

import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from bioprune_core.errors import ModelError, StorageError
from bioprune_core.models import Architecture, create_model, load_model, save_model

FAMILIES = [(Architecture.RNA_FM, "rna"), (Architecture.ESM_2, "protein"), (Architecture.ESM_C, "protein")]


@pytest.mark.parametrize(("architecture", "alphabet"), FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip_is_exact(
    architecture: Architecture, alphabet: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    model = create_model(architecture, "tiny", alphabet, seed=3).to("cpu", dtype)
    model.name = "mine"
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.rand_like(parameter))
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert again.content_hash == model.content_hash
    assert (again.name, again.dtype, again.parameters) == ("mine", dtype, model.parameters)
    assert again.maximum_residues == model.maximum_residues
    assert again.description() == model.description()
    theirs = again.network.state_dict()
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
    tokens = torch.tensor([[0, 4, 5, 6, 2]])
    mask = torch.ones_like(tokens, dtype=torch.bool)
    with torch.inference_mode():
        assert torch.equal(again.logits(tokens, mask), model.logits(tokens, mask))
    assert again.head.dense_parameter_name == "lm_head.dense.weight"
    assert not again.network.training


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path: Path) -> None:
    model = create_model("rna-fm", "tiny", "rna", seed=0)
    save_model(model, tmp_path)
    names = safetensors.torch.load_file(tmp_path / "model.safetensors").keys()
    assert "esm.embeddings.word_embeddings.weight" in names
    assert "lm_head.decoder.weight" not in names
    again = load_model(tmp_path)
    assert again.head.decoder_weight is again.network.get_input_embeddings().weight


@pytest.mark.parametrize(("mask", "mode"), [(0o002, 0o664), (0o077, 0o600)])
def test_weights_are_as_readable_as_any_new_file(tmp_path: Path, mask: int, mode: int) -> None:
    """A laboratory shares its workspace; the library would write for the owner alone."""
    before = os.umask(mask)
    try:
        save_model(create_model("rna-fm", "tiny", "rna", seed=0), tmp_path)
    finally:
        os.umask(before)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}


def test_the_hash_follows_weights_and_configuration_but_not_the_name() -> None:
    model = create_model("rna-fm", "tiny", "rna", seed=0)
    start = model.content_hash
    model.name = "another"
    assert model.content_hash == start
    with torch.no_grad():
        model.head.dense.weight[0, 0] += 1
    assert model.content_hash != start
    with torch.no_grad():
        model.head.dense.weight[0, 0] -= 1
    model.network.config.layer_norm_eps = 1e-6
    assert model.content_hash != start


def test_the_hash_of_a_seed_is_fixed() -> None:
    # Runs record this hash: a change of it would disown every earlier run.
    model = create_model("rna-fm", "tiny", "rna", seed=0)
    with torch.no_grad():
        for index, parameter in enumerate(model.network.parameters()):
            parameter.fill_(index)
    assert model.content_hash == "a93ef9cc084a5fb32a3576740d5a4787bccac5ea6d68a6c695d9a427262372b1"


def test_changing_the_type_leaves_rotary_frequencies_exact() -> None:
    model = create_model("esm-2", "tiny", "protein", seed=0).to("cpu", torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert model.network.esm.rotary_embeddings.inv_freq.dtype == torch.float32


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    save_model(create_model("rna-fm", "tiny", "rna", seed=0), tmp_path / "a")
    save_model(create_model("rna-fm", "small", "rna", seed=0), tmp_path / "b")
    save_model(create_model("esm-2", "tiny", "rna", seed=0), tmp_path / "c")
    for other, reason in (("b", "not expected"), ("c", "position_embeddings.weight missing")):
        weights = (tmp_path / other / "model.safetensors").read_bytes()
        (tmp_path / "a" / "model.safetensors").write_bytes(weights)
        with pytest.raises(ModelError, match=reason):
            load_model(tmp_path / "a")


def test_damaged_and_newer_files_are_named(tmp_path: Path) -> None:
    save_model(create_model("rna-fm", "tiny", "rna", seed=0), tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError, match=r"model\.safetensors"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(StorageError, match=r"model\.safetensors"):
        load_model(tmp_path)
    good = json.loads(config.read_text())
    for change in ({"alphabet": "xna"}, {"tokeniser": {}}, {"network": {"model_type": "none"}}):
        config.write_text(json.dumps({**good, **change}))
        with pytest.raises(ModelError, match=r"config\.json is damaged"):
            load_model(tmp_path)
    config.write_text(json.dumps({**good, "version": 2}))
    with pytest.raises(ModelError, match="newer BioPrune"):
        load_model(tmp_path)
