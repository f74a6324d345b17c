import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bioprune_core.errors import InputError
from bioprune_core.models import MaskedLanguageModel, create_model
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig
from bioprune_core.training.batches import (
    Corpus,
    MaskedBatch,
    evaluation_batches,
    steps_in_all,
    training_batches,
)

CONFIG = TrainingConfig(token_budget=256, epochs=2)


@pytest.fixture
def model(make_model: Callable[..., MaskedLanguageModel]) -> MaskedLanguageModel:
    return make_model()


@pytest.fixture
def corpus(model: MaskedLanguageModel, block: SequenceBlock) -> Corpus:
    return Corpus.of(block, model, "training set")


def same(one: MaskedBatch, other: MaskedBatch) -> bool:
    return (
        bool((one.inputs == other.inputs).all())
        and bool((one.places == other.places).all())
        and np.array_equal(one.rows, other.rows)
    )


def test_an_epoch_holds_every_sequence_once(model: MaskedLanguageModel, corpus: Corpus) -> None:
    steps = steps_in_all(corpus, CONFIG)
    batches = list(training_batches(corpus, model.tokeniser, CONFIG, 0, steps))
    assert len(batches) == steps
    first = np.concatenate([batch.rows for (batch,) in batches[: steps // 2]])
    second = np.concatenate([batch.rows for (batch,) in batches[steps // 2 :]])
    assert sorted(first) == sorted(second) == list(range(len(corpus)))
    assert first.tolist() != second.tolist()


def test_batches_keep_the_budget_and_like_lengths_together(
    model: MaskedLanguageModel, corpus: Corpus
) -> None:
    for (batch,) in training_batches(corpus, model.tokeniser, CONFIG, 0, steps_in_all(corpus, CONFIG)):
        rows, width = batch.inputs.shape
        assert rows * width <= CONFIG.token_budget or rows == 1
        assert width % CONFIG.length_multiple == 0
        assert batch.real_tokens == int(batch.attention_mask.sum())


def test_a_sequence_over_the_budget_is_a_batch_of_its_own(model: MaskedLanguageModel, corpus: Corpus) -> None:
    config = TrainingConfig(token_budget=16)
    for (batch,) in training_batches(corpus, model.tokeniser, config, 0, steps_in_all(corpus, config)):
        assert len(batch.rows) == 1


def test_a_batch_depends_on_its_step_and_not_on_the_start(model: MaskedLanguageModel, corpus: Corpus) -> None:
    steps = steps_in_all(corpus, CONFIG)
    whole = list(training_batches(corpus, model.tokeniser, CONFIG, 0, steps))
    for start in (1, steps // 2, steps - 1, steps):
        rest = list(training_batches(corpus, model.tokeniser, CONFIG, start, steps))
        assert len(rest) == steps - start
        assert all(same(one, other) for (one,), (other,) in zip(rest, whole[start:], strict=True))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_processes_and_the_device_divide_a_step_without_changing_it(
    model: MaskedLanguageModel, corpus: Corpus, ranks: int
) -> None:
    steps = steps_in_all(corpus, CONFIG)
    parts = replace(CONFIG, device_tokens=100)
    shares = [
        training_batches(corpus, model.tokeniser, parts, 0, steps, rank=rank, ranks=ranks)
        for rank in range(ranks)
    ]
    for (step,), *mine in zip(
        training_batches(corpus, model.tokeniser, CONFIG, 0, steps), *shares, strict=True
    ):
        batches = [batch for share in mine for batch in share]
        rows = np.concatenate([batch.rows for batch in batches])
        assert sorted(rows) == sorted(step.rows)
        assert sum(batch.real_tokens for batch in batches) == step.real_tokens
        # A sequence has the same targets wherever it is computed.
        counts = np.concatenate([batch.counts for batch in batches])
        assert counts[np.argsort(rows)].tolist() == step.counts[np.argsort(step.rows)].tolist()
        for batch in batches:
            assert batch.inputs.numel() <= 100 or len(batch.rows) == 1
        sizes = [sum(batch.real_tokens for batch in share) for share in mine]
        assert max(sizes) - min(sizes) <= 2 * corpus.tokens.lengths[step.rows].max()


@pytest.mark.parametrize("epochs", [0.1, 0.6, 1.0, 2.3])
def test_a_budget_of_tokens_is_reached_by_the_last_step(
    model: MaskedLanguageModel, corpus: Corpus, epochs: float
) -> None:
    config = replace(CONFIG, tokens=int(epochs * corpus.tokens.lengths.sum()))
    steps = steps_in_all(corpus, config)
    tokens = [batch.real_tokens for (batch,) in training_batches(corpus, model.tokeniser, config, 0, steps)]
    assert sum(tokens[:-1]) < config.tokens <= sum(tokens)


def test_targets_point_at_the_original_tokens(model: MaskedLanguageModel, corpus: Corpus) -> None:
    for batch in evaluation_batches(corpus, model.tokeniser, CONFIG):
        width = batch.inputs.shape[1]
        owners = np.repeat(np.arange(len(batch.rows)), batch.counts)
        for place, label, owner in zip(
            batch.places.tolist(), batch.labels.tolist(), owners.tolist(), strict=True
        ):
            assert place // width == owner
            assert corpus.tokens.sequence(batch.rows[owner])[place % width] == label


def test_fractional_epochs_are_rounded_up_to_steps(corpus: Corpus) -> None:
    whole = steps_in_all(corpus, TrainingConfig(token_budget=256))
    assert steps_in_all(corpus, TrainingConfig(token_budget=256, epochs=0.5)) == -(-whole // 2)
    assert steps_in_all(corpus, TrainingConfig(token_budget=256, epochs=3)) == 3 * whole
    assert steps_in_all(corpus, TrainingConfig(token_budget=256, epochs=0.001)) == 1
    assert steps_in_all(corpus, TrainingConfig(token_budget=256, steps=7)) == 7


def test_sequences_without_a_residue_are_left_out_and_counted(model: MaskedLanguageModel) -> None:
    block = SequenceBlock.from_strings(["NNNN", "ACGU", "", "RRA"])
    corpus = Corpus.of(block, model, "training set")
    assert corpus.unusable == 2
    assert corpus.hashes.tolist() == block.hashes[[1, 3]].tolist()
    assert corpus.tokens.sequence(0).tolist() == [0, 4, 5, 6, 7, 2]


@pytest.mark.parametrize("letters", [1, 40, 1 << 20])
@pytest.mark.parametrize("architecture", ["rna-fm", "esm-2"])
def test_a_corpus_is_that_of_its_sequences_tokenised_at_once(
    architecture: str, letters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioprune_core.training.batches._LETTERS", letters)
    model = create_model(architecture, "tiny", "rna", seed=0)
    model.maximum_residues = 15
    random = np.random.default_rng(5)
    sequences = ["".join(random.choice(list("ACGUNR"), size)) for size in random.integers(0, 4, 60)]
    for place, size in ((0, 0), (7, 200), (8, 16), (30, 15), (60, 0)):
        sequences.insert(place, "".join(random.choice(list("ACGUN"), size)))
    block = SequenceBlock.from_strings(sequences)
    whole = model.tokeniser.encode(block, model.maximum_residues)
    counts = [
        int(np.isin(whole.sequence(row), model.tokeniser.residue_ids).sum()) for row in range(len(block))
    ]
    usable = np.flatnonzero(counts)
    assert 0 < len(usable) < len(block)
    corpus = Corpus.of(block, model, "training set")
    assert corpus.hashes.tolist() == block.hashes[usable].tolist()
    assert corpus.unusable == len(block) - len(usable)
    assert corpus.tokens.truncated == whole.truncated > 0
    assert [corpus.tokens.sequence(row).tolist() for row in range(len(corpus))] == [
        whole.sequence(row).tolist() for row in usable
    ]
    assert (corpus.tokens.tokens.dtype, corpus.tokens.offsets.dtype) == (np.int16, np.int64)


def memory_beside(block: SequenceBlock, model: MaskedLanguageModel) -> int:
    """Bytes that making a corpus takes at most beside the corpus itself."""
    tracemalloc.start()
    try:
        corpus = Corpus.of(block, model, "training set")
        corpus.digest()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - kept


@pytest.mark.parametrize("architecture", ["rna-fm", "esm-2"])
@pytest.mark.parametrize("length", [100, 1500])
def test_memory_beside_the_tokens_does_not_grow_with_the_pool(architecture: str, length: int) -> None:
    model = create_model(architecture, "tiny", "rna", seed=0)
    few, many = (
        SequenceBlock(
            np.frombuffer((b"NNNN" * length + b"ACGU" * 4_000_000)[: length * count], dtype=np.uint8),
            np.arange(count + 1) * length,
            np.arange(count, dtype=np.uint64),
            np.arange(count),
        )
        for count in (4_000_000 // length, 16_000_000 // length)
    )
    assert memory_beside(many, model) < 1.2 * memory_beside(few, model) < 8 << 20


@pytest.mark.parametrize("sequences", [["NNN", "RY"], []])
def test_nothing_to_predict_is_refused(model: MaskedLanguageModel, sequences: list[str]) -> None:
    with pytest.raises(InputError, match="subset has an unambiguous rna residue"):
        Corpus.of(SequenceBlock.from_strings(sequences), model, "subset")
