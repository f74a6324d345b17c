"""A head that is not known in closed form is scored by the weight of its last layer, through a hook."""

from pathlib import Path

import numpy as np
import pytest
import torch
from reference import Reference, fisher_of, influence_of
from transformers import AlbertConfig, AlbertForMaskedLM, BertConfig, BertForMaskedLM, BertTokenizer

from bioprune_core.influence import InfluenceConfig, Objective, accumulate_fisher, score_block
from bioprune_core.models import MaskedLanguageModel, load_model
from bioprune_core.models.network_head import NetworkHead
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig, train
from bioprune_core.training.batches import Corpus
from bioprune_core.training.measure import measure

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"LAGVESIKRDTPNQFYMHCWXUBZO")
SHAPE = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "pad_token_id": 0,
}
UNMASKED = InfluenceConfig(token_budget=120)
MASKED = InfluenceConfig(token_budget=120, objective=Objective.MASKED, masks=3)


def other_model(kind: str, folder: Path) -> MaskedLanguageModel:
    """BERT with ReLU in its head or with a decoder alone; ALBERT with a narrower head and the tanh GELU."""
    torch.manual_seed(4)
    if kind == "albert":
        network = AlbertForMaskedLM(AlbertConfig(**SHAPE, embedding_size=16))
    else:
        network = BertForMaskedLM(BertConfig(**SHAPE, hidden_act="relu"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.05)
    network.eval().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    loaded = load_model(folder)
    if kind != "decoder alone":
        return loaded
    loaded.network.cls.predictions.transform = torch.nn.Identity()
    return MaskedLanguageModel(
        "decoder alone", loaded.architecture, loaded.alphabet, loaded.network, loaded.tokeniser, 60
    )


@pytest.fixture(scope="module", params=["bert with relu", "albert", "decoder alone"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MaskedLanguageModel:
    found = other_model(request.param, tmp_path_factory.mktemp("other"))
    assert isinstance(found.head, NetworkHead)
    names = {
        "bert with relu": "cls.predictions.transform.dense.weight",
        "albert": "predictions.dense.weight",
        "decoder alone": "cls.predictions.decoder.weight",
    }
    assert found.head.dense_parameter_name == names[request.param]
    return found


@pytest.fixture
def block() -> SequenceBlock:
    random = np.random.default_rng(1)
    return SequenceBlock.from_strings(
        ["".join(random.choice(list("LAGVESIKRD"), size)) for size in (3, 30, 12, 60, 21)]
    )


@pytest.mark.parametrize("config", [UNMASKED, MASKED], ids=["unmasked", "masked"])
def test_fisher_and_influence_are_those_of_the_last_layers_weight(
    model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig
) -> None:
    losses, gradients = Reference(model, config).gradients(block)
    fisher = fisher_of(gradients)
    part = accumulate_fisher(model, block, config)
    assert part.sum_squared.shape == tuple(model.head.dense.weight.shape)
    np.testing.assert_allclose(part.sum_squared / len(block), fisher, rtol=1e-5, atol=1e-7 * fisher.max())
    scores = score_block(model, block, fisher, config)
    np.testing.assert_allclose(scores.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(scores.influence, influence_of(gradients, fisher, config.damping), rtol=1e-5)
    assert scores.embedding is not None and scores.embedding.shape == (5, 32)


def test_training_moves_the_head_and_lowers_the_loss(
    model: MaskedLanguageModel, block: SequenceBlock, tmp_path: Path
) -> None:
    before = model.head.dense.weight.detach().clone()
    settings = TrainingConfig(steps=12, learning_rate=3e-3, token_budget=200)
    corpus = Corpus.of(block, model, "block")
    start = measure(model, corpus, settings, gradient=True)
    train(model, block, settings, tmp_path / "network")
    assert not torch.equal(before, model.head.dense.weight)
    end = measure(model, corpus, settings, gradient=True)
    assert end.loss < start.loss
    assert start.gradient is not None and start.gradient.mean_of_norms > 0
