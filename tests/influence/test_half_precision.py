"""A backbone in bf16: the same ranks, the head and the weights as they were."""

import itertools
from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from bioprune_core.errors import InputError
from bioprune_core.influence import (
    InfluenceConfig,
    Objective,
    ParameterSet,
    Precision,
    accumulate_fisher,
    fisher_diagonal,
    score_block,
)
from bioprune_core.influence.gradient_engine import resolved_precision
from bioprune_core.influence.objective import length_multiple
from bioprune_core.models import Architecture, MaskedLanguageModel, Scale, create_model
from bioprune_core.models.half_precision import _orders_weights, bf16_backbone, computes_in_bf16
from bioprune_core.models.state import FusedIntermediate
from bioprune_core.sequences.block import SequenceBlock

BF16 = InfluenceConfig(precision=Precision.BF16)
FLOAT32 = InfluenceConfig(precision=Precision.FLOAT32)


def block_of(letters: str, count: int) -> SequenceBlock:
    random = np.random.default_rng(3)
    return SequenceBlock.from_strings(
        [
            "".join(random.choice(list(letters), size, p=random.dirichlet(np.ones(len(letters)))))
            for size in random.integers(10, 32, count)
        ]
    )


@pytest.mark.parametrize("architecture", [Architecture.RNA_FM, Architecture.ESM_2, Architecture.ESM_C])
def test_ranks_are_those_of_float32(architecture: Architecture) -> None:
    torch.set_num_threads(1)
    rna = architecture is Architecture.RNA_FM
    model = create_model(architecture, Scale.TINY, "rna" if rna else "protein", seed=1)
    block = block_of("ACGU" if rna else "ACDEFGHIKLMNPQRSTVWY", 400)
    fisher = fisher_diagonal([accumulate_fisher(model, block.take(np.arange(0, 400, 4)), FLOAT32)])
    fisher_bf16 = fisher_diagonal([accumulate_fisher(model, block.take(np.arange(0, 400, 4)), BF16)])
    exact = score_block(model, block, fisher, FLOAT32, embeddings=False).influence
    rounded = score_block(model, block, fisher_bf16, BF16, embeddings=False).influence
    assert not np.array_equal(exact, rounded)
    assert spearmanr(exact, rounded).statistic >= 0.9999
    top = [set(np.argsort(-scores)[:40].tolist()) for scores in (exact, rounded)]
    assert len(top[0] & top[1]) >= 0.99 * 40


@pytest.mark.parametrize("objective", ["unmasked", "masked"])
def test_batches_have_few_lengths_and_no_more_tokens_than_the_budget(
    rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    shapes = []
    forward = rna_model.hidden_states

    def seen(tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(tokens.shape))
        return forward(tokens, attention_mask)

    monkeypatch.setattr(rna_model, "hidden_states", seen)
    block = block_of("ACGU", 60)
    for multiple, precision in ((8, "bf16"), (1, "float32")):
        shapes.clear()
        config = InfluenceConfig.from_json(
            {"objective": objective, "precision": precision, "token_budget": 256, "masks": 4}
            if objective == "masked"
            else {"precision": precision, "token_budget": 256}
        )
        accumulate_fisher(rna_model, block, config)
        assert all(rows * length <= 256 for rows, length in shapes)
        assert all(length % multiple == 0 for _, length in shapes)
    assert any(length % 8 for _, length in shapes)
    # An input one token longer than its last position would be refused by the network.
    monkeypatch.setattr(rna_model, "maximum_residues", 1021)
    assert length_multiple(rna_model, BF16) == 1


def test_weights_are_given_back(rna_model: MaskedLanguageModel) -> None:
    before = rna_model.content_hash
    block = block_of("ACGU", 3)
    accumulate_fisher(rna_model, block, BF16)
    assert rna_model.content_hash == before
    broken = InfluenceConfig(precision=Precision.BF16, too_long="refuse")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="longer"):
        accumulate_fisher(rna_model, SequenceBlock.from_strings(["ACGU" * 1000]), broken)
    assert rna_model.content_hash == before
    assert all(parameter.dtype == torch.float32 for parameter in rna_model.network.parameters())
    assert not any("forward" in vars(module) for module in rna_model.network.modules())


@pytest.fixture(params=[True, False])
def has_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With weights packed once, and on a platform without the library that packs them."""
    if not request.param:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    return bool(request.param)


def test_products_are_those_of_bf16_matrices(rna_model: MaskedLanguageModel, has_library: bool) -> None:
    layers = [m for m in rna_model.network.base_model.modules() if isinstance(m, torch.nn.Linear)]
    states = torch.randn(3, 5, layers[0].in_features)
    with bf16_backbone(rna_model) as in_bf16, torch.inference_mode(), in_bf16():
        assert ("forward" in vars(layers[0])) is (has_library and _orders_weights())
        given = [layer(states) for layer in layers[:2]]
    for product, layer in zip(given, layers[:2], strict=True):
        assert product.dtype == torch.bfloat16
        rounded = [each.bfloat16().float() for each in (states, layer.weight, layer.bias)]
        expected = torch.nn.functional.linear(*rounded)
        torch.testing.assert_close(product.float(), expected, rtol=2**-8, atol=1e-6)


@pytest.mark.usefixtures("has_library")
def test_the_widening_layer_ends_in_the_exact_gelu_of_its_product(rna_model: MaskedLanguageModel) -> None:
    model = deepcopy(rna_model)  # which other tests share
    modules = model.network.base_model.modules()
    widening = next(m for m in modules if isinstance(m, FusedIntermediate))
    with torch.no_grad():
        # One input decides: products from -4 to -1.5, where the two forms of a GELU differ most next to the
        # steps of bf16.
        widening.dense.weight.zero_()
        widening.dense.weight[:, 0] = torch.linspace(-4, -1.5, len(widening.dense.weight))
        widening.dense.bias.zero_()
    states = torch.zeros(1, widening.dense.in_features)
    states[:, 0] = 1
    with bf16_backbone(model) as in_bf16, torch.inference_mode(), in_bf16():
        found = widening(states).double()
    product = widening.dense.weight[:, 0].bfloat16().double()[None]
    by_erf = torch.nn.functional.gelu(product)
    by_tanh = torch.nn.functional.gelu(product, approximate="tanh")
    assert (by_erf - by_tanh).abs().max() > 4e-4
    assert (found - by_erf).abs().max() < 3e-4
    torch.testing.assert_close(found, by_erf, rtol=2**-8, atol=1e-6)


def test_auto_is_bf16_only_where_device_and_settings_allow(
    rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = "bioprune_core.influence.gradient_engine.computes_in_bf16"
    for able, expected in ((True, Precision.BF16), (False, Precision.FLOAT32)):
        monkeypatch.setattr(home, lambda _device, able=able: able)
        assert resolved_precision(InfluenceConfig(), rna_model) is expected
    monkeypatch.setattr(home, lambda _device: True)
    for other in (
        InfluenceConfig(parameters=ParameterSet.ALL_LINEAR),
        InfluenceConfig(objective=Objective.PAPER_CODE),
        FLOAT32,
    ):
        assert resolved_precision(other, rna_model) is Precision.FLOAT32


def test_a_device_says_whether_it_computes_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    names = ("amx_bf16", "avx512_bf16")
    for amx, avx512 in itertools.product((True, False), repeat=2):
        has = dict(zip(names, (amx, avx512), strict=True))
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has)
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        assert computes_in_bf16(cpu) is (amx or avx512)
        for limit, allowed in {
            "ALL": (True, True),
            "AVX512_CORE_AMX": (True, True),
            "avx512_core_bf16": (False, True),
            "AVX512_CORE": (False, False),
            "AVX512_CORE_VNNI": (False, False),
        }.items():
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
            assert computes_in_bf16(cpu) is any(a and b for a, b in zip(has.values(), allowed, strict=True))
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert not computes_in_bf16(cpu)


@pytest.mark.parametrize("other", [{"parameters": "all-linear"}, {"objective": "paper-code"}])
def test_bf16_is_refused_where_it_would_change_the_ranks(other: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"bf16.*float32 or auto"):
        InfluenceConfig.from_json({"precision": "bf16", **other})
