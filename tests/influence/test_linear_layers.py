"""The parameters `all-linear` and named layers: the same method, over weights and biases anywhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from memory_pool import MemoryPool
from reference import Reference, fisher_of, influence_of
from safetensors.numpy import load_file

from bioprune_core.errors import InputError, ModelError, StageError, StorageError
from bioprune_core.influence import (
    InfluenceConfig,
    Objective,
    ParameterSet,
    ScoreBlock,
    accumulate_fisher,
    fisher_diagonal,
    read_fisher,
    run_fisher,
    run_scores,
    score_block,
    score_sequences,
)
from bioprune_core.influence.linear_layers import LinearLayer, linear_layers
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

RTOL = 1e-5
ALL = ParameterSet.ALL_LINEAR
CONFIG = InfluenceConfig(parameters=ALL, token_budget=512)
MASKED = replace(CONFIG, objective=Objective.MASKED, masks=3)
PAPER = replace(CONFIG, objective=Objective.PAPER_CODE, token_budget=4096)

MakeBlock = Callable[..., SequenceBlock]


def names_of(layers: tuple[LinearLayer, ...]) -> list[str]:
    return [
        f"{layer.name}.{kind}"
        for layer in layers
        for kind in ("weight", "bias")
        if kind == "weight" or layer.bias.stop > layer.bias.start
    ]


def scores_of(
    model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig = CONFIG
) -> ScoreBlock:
    fisher = fisher_diagonal([accumulate_fisher(model, block, config)])
    return score_block(model, block, fisher, config)


@pytest.mark.parametrize(
    ("config", "count"), [(CONFIG, 8), (MASKED, 4), (PAPER, 2)], ids=lambda v: str(v)[:0]
)
def test_against_autograd(
    model: MaskedLanguageModel, make_block: MakeBlock, config: InfluenceConfig, count: int
) -> None:
    block = make_block(model, count)
    parameters = names_of(linear_layers(model, ALL))
    losses, gradients = Reference(model, config, parameters).gradients(block)
    reference = fisher_of(gradients)
    fisher = fisher_diagonal([accumulate_fisher(model, block, config)])
    assert fisher.shape == gradients.shape[1:]
    # The floor is for entries whose terms cancel in float32: with AVX-512 one of 811,200 was 4.2e-8 off
    # 0.0024, where the largest is 0.15.
    np.testing.assert_allclose(fisher, reference, rtol=RTOL, atol=2e-7 * reference.max())
    scores = score_block(model, block, fisher, config)
    np.testing.assert_allclose(scores.loss, losses, rtol=RTOL)
    np.testing.assert_allclose(scores.gradient_norm, np.sqrt((gradients**2).sum(axis=1)), rtol=RTOL)
    np.testing.assert_allclose(
        scores.influence, influence_of(gradients, reference, config.damping), rtol=RTOL
    )
    assert scores.influence.mean() == pytest.approx((fisher / (fisher + config.damping)).sum(), rel=1e-7)


@pytest.mark.parametrize("objective", [Objective.UNMASKED, Objective.MASKED])
def test_the_heads_dense_layer_by_hooks_and_in_closed_form(
    model: MaskedLanguageModel, make_block: MakeBlock, objective: Objective
) -> None:
    block = make_block(model, 10)
    closed = replace(CONFIG, objective=objective, parameters=ParameterSet.HEAD)
    dense = model.head_layout.dense
    hooked = replace(closed, parameters=(dense,))
    fisher = fisher_diagonal([accumulate_fisher(model, block, closed)])
    whole = fisher_diagonal([accumulate_fisher(model, block, hooked)])
    np.testing.assert_allclose(whole[: fisher.size], fisher.ravel(), rtol=RTOL, atol=1e-7 * fisher.max())
    # A bias that hardly counts: the influence is that of the weight.
    whole[fisher.size :] = 1e30
    expected, found = score_block(model, block, fisher, closed), score_block(model, block, whole, hooked)
    np.testing.assert_allclose(found.influence, expected.influence, rtol=RTOL)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=RTOL)
    assert expected.embedding is not None and found.embedding is not None
    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=2e-3, atol=1e-3)
    if objective is Objective.MASKED:
        assert expected.halves is not None and found.halves is not None
        np.testing.assert_allclose(found.halves, expected.halves, rtol=RTOL)


def test_a_tied_decoder_counts_as_decoder_only(rna_model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    network = rna_model.network
    embedding = network.get_input_embeddings().weight
    assert network.lm_head.decoder.weight is embedding
    config = replace(CONFIG, parameters=("lm_head.decoder",))
    block = make_block(rna_model, 4)
    fisher = fisher_diagonal([accumulate_fisher(rna_model, block, config)])
    gradients = Reference(rna_model, config, ["lm_head.decoder.weight"]).gradients(block)[1]
    np.testing.assert_allclose(fisher, fisher_of(gradients), rtol=RTOL, atol=1e-7 * fisher.max())
    # What flows in through the lookup would show here: autograd of the tied tensor has both.
    reference = Reference(rna_model, config, ["esm.embeddings.word_embeddings.weight"])
    reference.model.network.tie_weights()
    reference.parameters = [reference.model.network.get_input_embeddings().weight]
    both = reference.gradients(block)[1]
    assert not np.allclose(fisher_of(both), fisher, rtol=0.1)


def test_layers_that_are_not_used_are_none(rna_model: MaskedLanguageModel) -> None:
    layers = linear_layers(rna_model, ALL)
    assert len(layers) == 3 * 6 + 2
    assert not any("contact_head" in layer.name for layer in layers)
    assert [layer.weight.start for layer in layers[1:]] == [layer.bias.stop for layer in layers[:-1]]
    chosen = linear_layers(rna_model, ("*.layer.1.*.query", "lm_head.*"))
    names = [layer.name for layer in chosen]
    assert names == ["esm.encoder.layer.1.attention.self.query", "lm_head.dense", "lm_head.decoder"]
    assert chosen[-1].bias == slice(chosen[-1].weight.stop, chosen[-1].weight.stop)


def test_names_that_match_nothing(rna_model: MaskedLanguageModel) -> None:
    with pytest.raises(
        InputError, match=r"\*\.contact_head\.\* match no linear layer .* uses 20, such as esm\."
    ):
        score_sequences(rna_model, ["ACGU"], parameters=["lm_head.dense", "*.contact_head.*"])
    for wrong in ([], [""], 3):
        with pytest.raises(InputError, match="parameters must be one of head, all-linear, or names"):
            InfluenceConfig.from_json({"parameters": wrong})
    config = InfluenceConfig(parameters=("lm_head.*",))
    assert InfluenceConfig.from_json(config.to_json()) == config


def test_a_layer_that_is_used_twice_is_refused(rna_model: MaskedLanguageModel) -> None:
    layers = rna_model.network.esm.encoder.layer
    twice = layers[1].output
    own, layers[1].output = layers[1].output, layers[0].output
    try:
        with pytest.raises(ModelError, match=r"layer\.0\.output\.dense .* not applied exactly once"):
            linear_layers(rna_model, ALL)
    finally:
        layers[1].output = own
    assert twice is own


@pytest.mark.parametrize("config", [CONFIG, MASKED], ids=["unmasked", "masked"])
@pytest.mark.parametrize("budget", [1, 100])
def test_batches_do_not_matter(
    model: MaskedLanguageModel, make_block: MakeBlock, config: InfluenceConfig, budget: int
) -> None:
    block = make_block(model, 5)
    one, other = (
        scores_of(model, block, config),
        scores_of(model, block, replace(config, token_budget=budget)),
    )
    np.testing.assert_allclose(other.influence, one.influence, rtol=RTOL)
    np.testing.assert_allclose(other.loss, one.loss, rtol=RTOL)
    if one.halves is not None:
        np.testing.assert_allclose(other.halves, one.halves, rtol=RTOL)


def test_order_does_not_matter(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 12)
    order = np.random.default_rng(3).permutation(len(block))
    forward, shuffled = scores_of(model, block), scores_of(model, block.take(order))
    np.testing.assert_allclose(shuffled.influence, forward.influence[order], rtol=RTOL)


def test_repetition_gives_the_same_bits(rna_model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(rna_model, 8)
    one, other = scores_of(rna_model, block), scores_of(rna_model, block)
    assert one.influence.tobytes() == other.influence.tobytes()


def test_the_network_is_left_as_it_was(rna_model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    network, before = rna_model.network, rna_model.content_hash
    frozen = network.lm_head.bias
    frozen.requires_grad_(False)
    try:
        scores_of(rna_model, make_block(rna_model, 3))
        assert not frozen.requires_grad
        assert all(p.requires_grad and p.grad is None for p in network.parameters() if p is not frozen)
    finally:
        frozen.requires_grad_(True)
    assert rna_model.content_hash == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_only_the_layers_above_the_first_are_differentiated(
    rna_model: MaskedLanguageModel, make_block: MakeBlock
) -> None:
    seen = []
    layer = rna_model.network.esm.encoder.layer[1]
    handle = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.requires_grad))
    try:
        scores_of(
            rna_model, make_block(rna_model, 2), replace(CONFIG, parameters=("*.layer.2.output.dense",))
        )
    finally:
        handle.remove()
    assert seen and not any(seen)


def test_files(rna_model: MaskedLanguageModel, make_block: MakeBlock, tmp_path: Path) -> None:
    block, config = make_block(rna_model, 9), replace(CONFIG, shard_size=4)
    subset = np.arange(0, 9, 2)
    fisher = run_fisher(rna_model, MemoryPool(block), subset, config, tmp_path / "fisher")
    np.testing.assert_array_equal(read_fisher(tmp_path / "fisher"), fisher)
    tensors = load_file(tmp_path / "fisher" / "fisher.safetensors")
    layers = linear_layers(rna_model, ALL)
    assert set(tensors) == set(names_of(layers))
    for layer in layers:
        np.testing.assert_array_equal(tensors[f"{layer.name}.weight"].ravel(), fisher[layer.weight])
        assert tensors[f"{layer.name}.weight"].shape == layer.shape
    run_scores(rna_model, MemoryPool(block), fisher, config, tmp_path / "scores", tmp_path / "embeddings")
    again = run_scores(
        rna_model, MemoryPool(block), fisher, config, tmp_path / "scores", tmp_path / "embeddings"
    )
    assert again.reused == again.shards == 3
    path = tmp_path / "fisher" / "fisher.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
    with pytest.raises(StorageError, match="Run the Fisher stage again"):
        read_fisher(tmp_path / "fisher")


def test_scores_that_are_not_finite_are_named(rna_model: MaskedLanguageModel) -> None:
    block = SequenceBlock.from_strings(["ACGU", "ACGN", "GGG"])
    fisher = fisher_diagonal([accumulate_fisher(rna_model, block, CONFIG)])
    dense = rna_model.network.lm_head.dense

    def damage(module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        row = torch.arange(len(output)) == len(output) - 1
        return output.masked_fill(row[:, None, None], torch.nan)

    handle = dense.register_forward_hook(damage)
    try:
        with pytest.raises(StageError, match=r"1 of 3 sequences is NaN or infinite \(positions 2\)"):
            score_block(rna_model, block, fisher, CONFIG)
    finally:
        handle.remove()
