"""Scales have the sizes that they promise."""

import pytest
import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models import Architecture, Scale, create_model
from bioprune_core.models.architectures import (
    dimensions,
    network_config,
    parameter_count,
    scratch_vocabulary,
)
from bioprune_core.models.state import build_network

# Millions of parameters, lower and upper bound.
SIZES = {Scale.TINY: (0.3, 1), Scale.SMALL: (2, 10), Scale.BASE: (20, 60)}
PUBLISHED = {Architecture.RNA_FM: 99.5, Architecture.ESM_2: 651.0, Architecture.ESM_C: 333.0}
FAMILIES = list(PUBLISHED)
LONGEST = {Architecture.RNA_FM: 1022, Architecture.ESM_2: 1022, Architecture.ESM_C: 2046}


@pytest.mark.parametrize("architecture", FAMILIES)
@pytest.mark.parametrize("scale", list(Scale))
def test_parameters_are_counted_without_building(architecture: Architecture, scale: Scale) -> None:
    alphabet = Alphabet.RNA if architecture is Architecture.RNA_FM else Alphabet.PROTEIN
    config = network_config(
        architecture, dimensions(architecture, scale), scratch_vocabulary(architecture, alphabet)
    )
    with torch.device("meta"):
        network = build_network(config)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert parameter_count(config) == count
    if scale is Scale.FULL:
        assert count / 1e6 == pytest.approx(PUBLISHED[architecture], abs=0.1)
    else:
        low, high = SIZES[scale]
        assert low <= count / 1e6 <= high


@pytest.mark.parametrize("architecture", FAMILIES)
@pytest.mark.parametrize("alphabet", list(Alphabet))
def test_any_architecture_takes_any_alphabet(architecture: Architecture, alphabet: Alphabet) -> None:
    model = create_model(architecture, Scale.TINY, alphabet, seed=0)
    tokeniser = model.tokeniser
    tokens = torch.tensor([[tokeniser.cls_id, *tokeniser.residue_ids, tokeniser.mask_id, tokeniser.eos_id]])
    with torch.inference_mode():
        logits = model.logits(tokens, torch.ones_like(tokens, dtype=torch.bool))
    assert logits.shape[:2] == tokens.shape
    assert tokeniser.vocabulary_size <= logits.shape[2]
    assert bool(logits.isfinite().all())
    assert model.name == f"{architecture}-tiny"
    assert model.maximum_residues == LONGEST[architecture]


def test_weights_start_small_and_follow_the_seed() -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first, again, other = (create_model("rna-fm", "tiny", "rna", seed) for seed in (4, 4, 5))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.content_hash == again.content_hash != other.content_hash
    for name, parameter in first.network.named_parameters():
        if parameter.dim() == 2 and parameter.numel() > 1000:
            assert float(parameter.detach().std()) == pytest.approx(0.02, rel=0.1), name
    assert first.network.esm.embeddings.layer_norm is not None
    assert first.head.decoder_weight is first.network.esm.embeddings.word_embeddings.weight
    # At the start every token is about as likely as any other.
    tokens = torch.tensor([[0, 4, 5, 6, 7, 2]])
    with torch.inference_mode():
        logits = first.logits(tokens, torch.ones_like(tokens, dtype=torch.bool))
    assert float(logits.abs().max()) < 1.5


def test_dropout_is_off() -> None:
    for architecture in FAMILIES:
        network = create_model(architecture, "tiny", "protein", seed=0).network
        assert all(module.p == 0 for module in network.modules() if isinstance(module, torch.nn.Dropout))


def test_unknown_choices_are_named() -> None:
    with pytest.raises(ModelError, match=r"no architecture rnafm .*; choose one of rna-fm"):
        create_model("rnafm", "tiny", "rna", seed=0)
    with pytest.raises(ModelError, match=r"no scale huge .*; choose one of tiny, small, base, full"):
        create_model("rna-fm", "huge", "rna", seed=0)
    with pytest.raises(ModelError, match="no alphabet xna"):
        create_model("rna-fm", "tiny", "xna", seed=0)


def test_auto_has_no_scales() -> None:
    with pytest.raises(ModelError, match=r"choose one of rna-fm, esm-2, esm-c\."):
        create_model("auto", "tiny", "rna", seed=0)
