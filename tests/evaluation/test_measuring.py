"""Every kind of task is learned by both protocols, repeatably, from the model alone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from trial_tasks import trial_task

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError, StageError
from bioprune_core.evaluation import FineTuneSettings, Method, Pooling, ProbeSettings, Protocol, evaluate
from bioprune_core.evaluation.embed import pooled_features, residue_features
from bioprune_core.evaluation.task_targets import TargetScale, as_predictions
from bioprune_core.models import MaskedLanguageModel, create_model
from bioprune_core.tasks import Examples, Part, TargetKind, Task, TaskData, limit_training
from bioprune_core.tasks.metrics import auc, mean_auc
from bioprune_core.training import Precision

Maker = Callable[..., MaskedLanguageModel]
Random = np.random.Generator
PROBE = Protocol(probe=ProbeSettings(epochs=15, rank=8))
TUNING = Protocol(
    Method.FINE_TUNE,
    fine_tune=FineTuneSettings(
        pooling=Pooling.MEAN, learning_rate=3e-3, batch_size=8, epochs=6, token_budget=128, blocks=1
    ),
)
# What guessing the commonest answer would give, and some more.
LEAST = {
    TargetKind.CLASS: 0.6,
    TargetKind.VALUE: 0.6,
    TargetKind.LABELS: 0.7,
    TargetKind.RESIDUE_CLASS: 0.8,
    TargetKind.PAIRS: 0.3,
    TargetKind.PAIR_VALUES: 0.3,
}


@pytest.mark.parametrize("protocol", [PROBE, TUNING], ids=lambda protocol: protocol.method.value)
@pytest.mark.parametrize("kind", list(TargetKind))
def test_what_is_in_the_letters_is_learned(
    make_model: Maker, random: Random, kind: TargetKind, protocol: Protocol
) -> None:
    model = make_model()
    before = model.content_hash
    data = trial_task(kind, random)
    if kind is TargetKind.PAIRS:  # few cells are pairs: more steps until any is above the threshold
        protocol = replace(protocol, fine_tune=replace(protocol.fine_tune, batch_size=1, epochs=12))
    found = evaluate(model, data, protocol, seed=1)
    assert found.figures[data.task.metrics[0]] > LEAST[kind]
    assert set(found.figures) == set(data.task.metrics) == set(found.validation)
    assert model.content_hash == before
    assert sum(found.truncated.values()) == 0


@pytest.mark.parametrize("protocol", [PROBE, TUNING], ids=lambda protocol: protocol.method.value)
def test_a_seed_gives_the_same_figures_again(make_model: Maker, random: Random, protocol: Protocol) -> None:
    data = trial_task(TargetKind.RESIDUE_CLASS, random)
    state = torch.random.get_rng_state()
    one, same = (evaluate(make_model(), data, protocol, seed=3) for _ in range(2))
    assert one.figures == same.figures
    assert one.chosen == same.chosen
    assert torch.equal(state, torch.random.get_rng_state())


def test_two_sequences_are_both_looked_at(make_model: Maker, random: Random) -> None:
    data = trial_task(TargetKind.VALUE, random, partners=True)
    # The label is that of the partner alone.
    swapped = {
        part: Examples(examples.partners or (), examples.sequences, examples.targets, examples.ids)
        for part, examples in data.parts.items()
    }
    for protocol in (PROBE, TUNING):
        found = evaluate(make_model(), TaskData(data.task, swapped, ""), protocol)
        assert found.figures["spearman"] > 0.5


def test_sequences_beyond_the_model_are_cut_with_their_targets(make_model: Maker, random: Random) -> None:
    data = trial_task(TargetKind.RESIDUE_CLASS, random)
    model = make_model()
    model.maximum_residues = 15
    found = evaluate(model, data, PROBE)
    longer = {
        part.value: sum(len(text) > 15 for text in examples.sequences)
        for part, examples in data.parts.items()
    }
    assert found.truncated == longer
    assert found.figures["q3"] > LEAST[TargetKind.RESIDUE_CLASS]


def test_batches_and_their_order_do_not_change_features(make_model: Maker, random: Random) -> None:
    sequences = trial_task(TargetKind.CLASS, random).parts[Part.TRAIN].sequences
    model = make_model()
    for pooling in Pooling:
        whole = pooled_features(model, sequences, pooling)
        single = np.concatenate([pooled_features(model, [text], pooling) for text in sequences])
        np.testing.assert_allclose(whole, single, atol=1e-5)
    residues = residue_features(model, sequences)
    for index, text in enumerate(sequences):
        assert len(residues.of(index)) == len(text)
        own = residue_features(model, [text], token_budget=32).of(0)
        np.testing.assert_allclose(residues.of(index), own, atol=5e-3)  # float16


def test_features_of_all_layers_end_with_those_of_the_last(make_model: Maker, random: Random) -> None:
    sequences = trial_task(TargetKind.CLASS, random).parts[Part.TRAIN].sequences
    for architecture in ("rna-fm", "esm-2", "esm-c"):
        model = create_model(architecture, "tiny", "rna", seed=0)
        last = pooled_features(model, sequences, Pooling.MEAN)
        layers = pooled_features(model, sequences, Pooling.LAYERS)
        states = layers.reshape(len(sequences), -1, last.shape[1])
        assert states.shape[1] == 1 + model.network.config.num_hidden_layers
        np.testing.assert_allclose(states[:, -1], last, atol=1e-5)
        assert all(not np.allclose(states[:, i], states[:, i + 1]) for i in range(states.shape[1] - 1))


def test_features_in_bf16_are_those_of_float32_to_its_digits(
    make_model: Maker, random: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = trial_task(TargetKind.CLASS, random).parts[Part.TRAIN].sequences
    model = make_model()
    exact = pooled_features(model, sequences, Pooling.MEAN)
    monkeypatch.setattr("bioprune_core.training.optimisation.computes_in_bf16", lambda _: False)
    with pytest.raises(InputError, match="precision is bf16"):
        pooled_features(model, sequences, Pooling.MEAN, precision=Precision.BF16)
    # Without hardware for it, it is emulated here.
    monkeypatch.setattr("bioprune_core.training.optimisation.computes_in_bf16", lambda _: True)
    before = model.content_hash
    halves = pooled_features(model, sequences, Pooling.MEAN, precision=Precision.BF16)
    assert model.content_hash == before
    assert not np.array_equal(halves, exact)
    np.testing.assert_allclose(halves, exact, atol=0.03)


def test_a_model_of_another_alphabet_is_refused(make_model: Maker, random: Random) -> None:
    data = trial_task(TargetKind.CLASS, random)
    protein = TaskData(replace(data.task, alphabet=Alphabet.PROTEIN), data.parts, "")
    with pytest.raises(InputError, match="reads rna, the task trial has protein"):
        evaluate(make_model(), protein)


def test_a_head_is_trained_on_no_more_sequences_than_asked_for(make_model: Maker, random: Random) -> None:
    data = trial_task(TargetKind.CLASS, random)
    few = Protocol(probe=replace(PROBE.probe, sequences=20))
    found = evaluate(make_model(), data, few, seed=3)
    drawn = evaluate(make_model(), limit_training(data, 20, 3), PROBE, seed=3)
    assert (found.figures, found.chosen) == (drawn.figures, {**drawn.chosen, "sequences": 20})


@pytest.mark.parametrize("protocol", [PROBE, TUNING], ids=lambda protocol: protocol.method.value)
def test_a_diverged_model_is_not_measured(make_model: Maker, random: Random, protocol: Protocol) -> None:
    model = make_model()
    with torch.no_grad():
        next(iter(model.network.base_model.encoder.parameters())).fill_(float("nan"))
    with pytest.raises(StageError, match=r"NaN or infinite|diverged"):
        evaluate(model, trial_task(TargetKind.CLASS, random), protocol)


def test_confident_predictions_keep_their_order() -> None:
    task = Task("two", "Two", Alphabet.RNA, TargetKind.CLASS, ("auc",), ("no", "yes"))
    outputs = [torch.tensor([0.0, -gap]) for gap in (21.0, 20.0, 19.0, 18.0)]
    predictions = as_predictions(task, outputs, TargetScale())
    assert auc(task, np.array([0, 0, 1, 1]), predictions) == 1.0
    labels = Task("one", "One", Alphabet.RNA, TargetKind.LABELS, ("mean_auc",), ("yes",))
    outputs = [torch.tensor([gap]) for gap in (18.0, 19.0, 20.0, 21.0)]
    predictions = as_predictions(labels, outputs, TargetScale())
    assert mean_auc(labels, np.array([[0], [0], [1], [1]]), predictions) == 1.0


def test_fine_tuning_that_diverges_says_where(make_model: Maker, random: Random) -> None:
    settings = replace(TUNING.fine_tune, learning_rate=1e12, gradient_clip=1e12)
    with pytest.raises(StageError, match=r"diverged: the .* at step \d+ of \d+.*lower learning rate"):
        evaluate(
            make_model(), trial_task(TargetKind.VALUE, random), Protocol(Method.FINE_TUNE, fine_tune=settings)
        )


@pytest.mark.parametrize("protocol", [PROBE, TUNING], ids=lambda protocol: protocol.method.value)
@pytest.mark.parametrize("kind", [TargetKind.VALUE, TargetKind.PAIR_VALUES])
def test_values_in_small_units_are_learned(
    make_model: Maker, random: Random, kind: TargetKind, protocol: Protocol
) -> None:
    """Affinities of picomoles a litre, told in moles."""
    data = trial_task(kind, random)

    def in_unit(examples: Examples) -> Examples:
        if kind.is_ragged:
            targets = tuple((target * 1e-12).astype(np.float32) for target in examples.targets)
            return replace(examples, targets=targets)
        return replace(examples, targets=examples.targets * 1e-12)

    small = TaskData(data.task, {part: in_unit(each) for part, each in data.parts.items()}, "")
    found = evaluate(make_model(), small, protocol, seed=1)
    assert found.figures[data.task.metrics[0]] > LEAST[kind]


@pytest.mark.parametrize("protocol", [PROBE, TUNING], ids=lambda protocol: protocol.method.value)
@pytest.mark.parametrize("kind", [TargetKind.VALUE, TargetKind.PAIR_VALUES])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-12, 1e6 / 3])
def test_equal_values_are_nothing_to_learn_in_any_unit(
    make_model: Maker, random: Random, kind: TargetKind, protocol: Protocol, value: float
) -> None:
    """Rounding leaves the deviation of equal values a little above zero."""
    data = trial_task(kind, random)
    train = data.parts[Part.TRAIN]
    same = (
        tuple(np.full_like(target, value) for target in train.targets)
        if kind.is_ragged
        else np.full(len(train), value)
    )
    parts = {**data.parts, Part.TRAIN: replace(train, targets=same)}
    with pytest.raises(InputError, match="nothing to learn"):
        evaluate(make_model(), TaskData(data.task, parts, ""), protocol)


def test_equal_cells_that_rounding_sets_apart_are_nothing_to_learn(make_model: Maker, random: Random) -> None:
    data = trial_task(TargetKind.PAIR_VALUES, random)
    train = data.parts[Part.TRAIN]

    def maps_of(value: np.float32) -> tuple[np.ndarray, ...]:
        return tuple(np.full_like(target, value) for target in train.targets)

    def variance(value: np.float32) -> float:
        cells = [target.ravel().astype(np.float64) for target in maps_of(value)]
        count = sum(map(len, cells))
        squares = sum((each**2).sum() for each in cells)
        return float(squares / count - (sum(each.sum() for each in cells) / count) ** 2)

    values = random.random(1_000, dtype=np.float32)
    apart = max(values, key=lambda value: variance(value) / value**2)
    assert variance(apart) > 0
    parts = {**data.parts, Part.TRAIN: replace(train, targets=maps_of(apart))}
    with pytest.raises(InputError, match="nothing to learn"):
        evaluate(make_model(), TaskData(data.task, parts, ""), PROBE)


def test_one_class_alone_or_equal_values_are_nothing_to_learn(make_model: Maker, random: Random) -> None:
    for kind, sentence in ((TargetKind.CLASS, "one class only"), (TargetKind.PAIRS, "nothing to learn")):
        data = trial_task(kind, random)
        train = data.parts[Part.TRAIN]
        same = tuple(0 * target for target in train.targets) if kind.is_ragged else 0 * train.targets
        parts = {**data.parts, Part.TRAIN: Examples(train.sequences, None, same, train.ids)}
        with pytest.raises(InputError, match=sentence):
            evaluate(make_model(), TaskData(data.task, parts, ""), PROBE)
