from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_memory import shrink_memory
from torch.nn import functional

from bioprune_core.errors import StageError
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig
from bioprune_core.training.batches import Corpus, evaluation_batches
from bioprune_core.training.group import ALONE
from bioprune_core.training.measure import batch_loss, measure, shared_loss


@pytest.fixture
def model(make_model: Callable[..., MaskedLanguageModel]) -> MaskedLanguageModel:
    return make_model()


def test_the_loss_is_the_cross_entropy_of_the_full_logits(
    model: MaskedLanguageModel, block: SequenceBlock
) -> None:
    corpus = Corpus.of(block, model, "subset")
    for batch in evaluation_batches(corpus, model.tokeniser, TrainingConfig(token_budget=512)):
        labels = torch.full((batch.inputs.numel(),), -100)
        labels[batch.places] = batch.labels
        output = model.network(input_ids=batch.inputs, attention_mask=batch.attention_mask)
        expected = functional.cross_entropy(output.logits.flatten(0, 1), labels)
        torch.testing.assert_close(batch_loss(model, batch), expected)


def test_losses_do_not_depend_on_batches(model: MaskedLanguageModel, block: SequenceBlock) -> None:
    corpus = Corpus.of(block, model, "subset")
    alone = measure(model, corpus, TrainingConfig(token_budget=1, length_multiple=1), gradient=True)
    together = measure(model, corpus, TrainingConfig(token_budget=100_000), gradient=True)
    np.testing.assert_allclose(alone.losses, together.losses, rtol=1e-5)
    assert alone.loss == pytest.approx(together.loss, rel=1e-6)
    assert alone.gradient is not None
    assert together.gradient is not None
    assert alone.gradient.mean_of_norms == pytest.approx(together.gradient.mean_of_norms, rel=1e-4)


def test_a_device_takes_no_more_at_once_than_in_training(
    model: MaskedLanguageModel, block: SequenceBlock
) -> None:
    corpus = Corpus.of(block, model, "subset")
    whole = TrainingConfig(token_budget=2_048)
    parts = replace(whole, device_tokens=256)
    sizes = [batch.inputs.numel() for batch in evaluation_batches(corpus, model.tokeniser, parts)]
    assert max(sizes) <= 256
    one, other = measure(model, corpus, whole, gradient=True), measure(model, corpus, parts, gradient=True)
    np.testing.assert_allclose(other.losses, one.losses, rtol=1e-5)
    assert other.loss == pytest.approx(one.loss, rel=1e-6)
    assert one.gradient is not None and other.gradient is not None
    assert other.gradient.norm_of_mean == pytest.approx(one.gradient.norm_of_mean, rel=1e-4)


def test_processes_share_the_sequences_and_what_a_device_takes(
    model: MaskedLanguageModel, block: SequenceBlock
) -> None:
    corpus, config = Corpus.of(block, model, "test"), TrainingConfig(token_budget=600, seed=3)
    rows: list[int] = []
    for rank in range(3):
        for batch in evaluation_batches(corpus, model.tokeniser, config, rank=rank, ranks=3):
            assert batch.inputs.numel() <= 200
            rows += batch.rows.tolist()
    assert sorted(rows) == list(range(len(corpus)))
    assert not list(evaluation_batches(corpus, model.tokeniser, config, rank=60, ranks=61))
    whole = measure(model, corpus, config).loss
    assert shared_loss(model, corpus, config, ALONE) == pytest.approx(whole, rel=1e-6)


def test_too_little_memory_to_measure_names_the_budget(
    model: MaskedLanguageModel, block: SequenceBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_memory(model, 300, monkeypatch)
    corpus = Corpus.of(block, model, "subset")
    config = TrainingConfig(token_budget=2_048)
    with pytest.raises(StageError, match=r"\(measuring the loss\)\. Lower .* device_tokens \(now 2048\)"):
        measure(model, corpus, config)
    measure(model, corpus, replace(config, device_tokens=300))


def test_a_measurement_that_fails_leaves_the_network_in_its_mode(
    model: MaskedLanguageModel, block: SequenceBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_memory(model, 300, monkeypatch)
    model.network.train()
    with pytest.raises(StageError):
        measure(model, Corpus.of(block, model, "subset"), TrainingConfig(token_budget=2_048))
    assert model.network.training


def test_the_head_gradient_is_that_of_autograd_through_the_whole_network(
    model: MaskedLanguageModel, block: SequenceBlock
) -> None:
    config = TrainingConfig(token_budget=1, length_multiple=1)
    corpus = Corpus.of(block, model, "subset")
    measured = measure(model, corpus, config, gradient=True).gradient
    weight = model.head.dense.weight
    gradients = [
        torch.autograd.grad(batch_loss(model, batch), weight)[0]
        for batch in evaluation_batches(corpus, model.tokeniser, config)
    ]
    assert measured is not None
    norms = torch.stack([gradient.norm() for gradient in gradients])
    assert measured.mean_of_norms == pytest.approx(float(norms.mean()), rel=1e-5)
    mean = torch.stack(gradients).mean(0)
    assert measured.norm_of_mean == pytest.approx(float(mean.norm()), rel=1e-4)


def test_measuring_changes_nothing(model: MaskedLanguageModel, block: SequenceBlock) -> None:
    before, state = model.content_hash, torch.get_rng_state()
    model.network.requires_grad_(False)
    model.network.train()
    measure(model, Corpus.of(block, model, "subset"), TrainingConfig(), gradient=True)
    assert model.content_hash == before
    assert torch.equal(torch.get_rng_state(), state)
    assert model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_composition_entropy_is_that_of_the_letters(model: MaskedLanguageModel) -> None:
    one_letter = SequenceBlock.from_strings(["A" * 40, "A" * 30])
    assert measure(model, Corpus.of(one_letter, model, "subset"), TrainingConfig()).composition_entropy == 0
    random = np.random.default_rng(0)
    even = SequenceBlock.from_strings(["".join(random.choice(list("ACGU"), size=800)) for _ in range(20)])
    entropy = measure(model, Corpus.of(even, model, "subset"), TrainingConfig()).composition_entropy
    assert entropy == pytest.approx(np.log(4), abs=0.003)
