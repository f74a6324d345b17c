"""Backbones over packed tokens: what the library's modules compute, without its pads."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch

from bioprune_core.models import Architecture, MaskedLanguageModel, Scale, create_model
from bioprune_core.models.half_precision import bf16_backbone
from bioprune_core.models.packed import pack, packed_backbone, packs

FAMILIES = {Architecture.RNA_FM: "rna", Architecture.ESM_2: "protein", Architecture.ESM_C: "protein"}
LENGTHS = (31, 20, 7, 1)


@pytest.fixture(scope="module", params=list(FAMILIES), ids=str)
def model(request: pytest.FixtureRequest) -> MaskedLanguageModel:
    """With every weight away from its initial value, at a scale that divides the branches of ESM-C."""
    model = create_model(request.param, Scale.TINY, FAMILIES[request.param], seed=5)
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.05)
    return model


def batch_of(model: MaskedLanguageModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded sequences beyond the longest of them, some with mask tokens."""
    draw = torch.Generator().manual_seed(1)
    ids = torch.from_numpy(model.tokeniser.residue_ids).long()
    tokens = torch.full((len(LENGTHS), 36), model.tokeniser.pad_id)
    for row, length in enumerate(LENGTHS):
        tokens[row, :length] = ids[torch.randint(len(ids), (length,), generator=draw)]
    tokens[0, 4] = tokens[1, 2] = tokens[1, 3] = model.network.config.mask_token_id
    return tokens, torch.arange(36) < torch.tensor(LENGTHS)[:, None]


@contextmanager
def without_rounding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)
        yield


def test_states_are_those_of_the_modules(model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, mask = batch_of(model)
    with torch.inference_mode():
        expected, every = model.hidden_states(tokens, mask), model.layer_states(tokens, mask)
        with without_rounding(monkeypatch), packed_backbone(model.network):
            found, found_every = model.hidden_states(tokens, mask), model.layer_states(tokens, mask)
        assert torch.equal(model.hidden_states(tokens, mask), expected)  # as it was before
    torch.testing.assert_close(found[mask], expected[mask], rtol=1e-4, atol=2e-5)
    assert not found[~mask].any()
    assert len(found_every) == len(every) == model.network.config.num_hidden_layers + 1
    for one, other in zip(found_every, every, strict=True):
        torch.testing.assert_close(one[mask], other[mask], rtol=1e-4, atol=2e-5)


def test_in_bf16_they_are_as_near_as_those_of_the_modules(model: MaskedLanguageModel) -> None:
    tokens, mask = batch_of(model)
    with torch.inference_mode():
        exact = model.hidden_states(tokens, mask)[mask]
        with bf16_backbone(model) as in_bf16, in_bf16():
            rounded = model.hidden_states(tokens, mask)[mask].float()
        with packed_backbone(model.network):
            packed = model.hidden_states(tokens, mask)[mask]
    assert packed.dtype == torch.float32
    assert 0 < float((packed - exact).norm()) < 1.5 * float((rounded - exact).norm())


def test_weights_and_calls_are_given_back(model: MaskedLanguageModel) -> None:
    before = model.content_hash
    with pytest.raises(KeyError), packed_backbone(model.network):
        assert "forward" in vars(model.network.base_model)
        raise KeyError
    assert "forward" not in vars(model.network.base_model)
    assert model.content_hash == before


def test_a_packing_names_the_places_of_real_tokens() -> None:
    packing = pack(torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]]))
    assert packing.places.tolist() == [0, 1, 2, 4]
    assert packing.rows.tolist() == [0, 0, 0, 1]
    assert packing.positions.tolist() == [0, 1, 2, 0]
    assert packing.offsets.tolist() == [0, 3, 4]
    assert packing.offsets.dtype == torch.int32


def test_an_id_that_the_configuration_calls_a_pad_takes_no_position(monkeypatch: pytest.MonkeyPatch) -> None:
    model = create_model(Architecture.RNA_FM, Scale.TINY, "rna", seed=5)
    tokens, mask = batch_of(model)
    # As in a folder whose tokeniser has another pad than its network.
    monkeypatch.setattr(model.network.base_model.embeddings, "padding_idx", int(tokens[0, 1]))
    with torch.inference_mode():
        expected = model.hidden_states(tokens, mask)
        with without_rounding(monkeypatch), packed_backbone(model.network):
            found = model.hidden_states(tokens, mask)
    torch.testing.assert_close(found[mask], expected[mask], rtol=1e-4, atol=2e-5)


def test_weights_in_bf16_are_left_to_the_modules(model: MaskedLanguageModel) -> None:
    assert not packs(deepcopy(model).to("cpu", torch.bfloat16).network)


def test_only_networks_of_the_known_form_are_packed(
    model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = model.network.config
    assert packs(model.network)
    others = {"num_attention_heads": config.hidden_size // 4}  # heads of 4, which no kernel takes
    if config.model_type == "esmc":
        others |= {"hidden_act": "gelu", "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 1}
    else:
        others |= {"is_decoder": True, "add_cross_attention": True}
    for name, value in others.items():
        with monkeypatch.context() as patch:
            patch.setattr(config, name, value)
            assert not packs(model.network), name
