"""Memorisation and datamodelling scores find what was put in, and nothing where nothing was."""

import json

import numpy as np
import pytest

from bioprune_core.validation import (
    Outcomes,
    ValidationConfig,
    chance_of_agreement,
    markdown,
    memorisation_scores,
    reliability,
    summarise,
)
from bioprune_core.validation.bootstrap import bootstrap
from bioprune_core.validation.datamodelling import datamodelling_scores, draw_groups
from bioprune_core.validation.report import _compare


def invented(models: int = 40, sequences: int = 200, noise: float = 0.0, seed: int = 0):
    """Losses that fall by a known amount for a sequence that a model was trained with."""
    random = np.random.default_rng(seed)
    included = random.random((models, sequences)) < 0.7
    effect = random.gamma(2.0, size=sequences)
    losses = random.normal(size=sequences) - included * effect
    losses = losses + random.normal(size=(models, 1)) + noise * random.normal(size=(models, sequences))
    return losses, included, effect


def test_memorisation_is_the_effect_of_training_with_a_sequence() -> None:
    losses, included, effect = invented(models=400)
    found = memorisation_scores(losses, included)
    # Without noise only the models' means differ, by what else they were trained with.
    assert np.corrcoef(found, effect)[0, 1] > 0.99
    assert np.median(np.abs(found - effect)) < 0.1


def test_a_model_that_is_worse_at_everything_changes_nothing() -> None:
    losses, included, _ = invented()
    shifted = losses + np.linspace(0, 50, len(losses))[:, None]
    np.testing.assert_allclose(
        memorisation_scores(shifted, included), memorisation_scores(losses, included), atol=1e-9
    )


def test_a_sequence_that_all_models_had_is_not_known() -> None:
    losses, included, _ = invented()
    included[:, 0], included[:, 1] = True, False
    found = memorisation_scores(losses, included)
    assert np.isnan(found[:2]).all() and np.isfinite(found[2:]).all()


def test_reliability_tells_signal_from_noise() -> None:
    losses, included, _ = invented()
    clear = reliability(losses, included)
    blind = reliability(np.random.default_rng(1).normal(size=losses.shape), included)
    assert clear is not None and clear > 0.9
    assert blind is not None and abs(blind) < 0.4


def noise(models: int, sequences: int, seed: int):
    """Losses that have nothing to do with what a model was trained with."""
    random = np.random.default_rng(seed)
    return random.normal(size=(models, sequences)), random.random((models, sequences)) < 0.7


def test_reliability_is_a_correlation_also_where_halves_contradict_each_other() -> None:
    found = [reliability(*noise(4, 20, seed)) for seed in range(60)]
    known = [value for value in found if value is not None]
    assert len(known) > 20
    assert min(known) < 0
    assert all(-1 <= value <= 1 for value in known)


def test_halves_that_share_few_sequences_agree_by_chance() -> None:
    tried = [noise(4, 20, seed) for seed in range(60)]
    values = [reliability(*each) for each in tried]
    passed = [value is not None and value >= 0.3 for value in values]
    assert sum(passed) > 10
    chances = [chance_of_agreement(*each, 200, 0) for each in tried]
    assert sum(good and chance <= 0.025 for good, chance in zip(passed, chances, strict=True)) <= 1
    assert all(chance == 1 for chance, value in zip(chances, values, strict=True) if value is None)
    losses, included, _ = invented()
    assert chance_of_agreement(losses, included, 200, 0) == 1 / 201


def test_groups_are_disjoint_of_equal_size_and_seeded() -> None:
    groups = draw_groups(103, 10, 5)
    assert (groups == -1).sum() == 3
    assert np.bincount(groups[groups >= 0]).tolist() == [10] * 10
    assert draw_groups(103, 10, 5).tolist() == groups.tolist() != draw_groups(103, 10, 6).tolist()


def test_the_true_effect_predicts_groups_and_noise_does_not() -> None:
    losses, included, effect = invented(models=60, noise=0.3)
    groups = draw_groups(200, 10, 0)
    random = np.random.default_rng(2)
    true = datamodelling_scores(effect, losses, included, groups).mean()
    other = datamodelling_scores(random.gamma(2.0, size=200), losses, included, groups).mean()
    assert true > 0.8 and true > other
    unrelated = random.normal(size=losses.shape)
    assert abs(datamodelling_scores(effect, unrelated, included, groups).mean()) < 0.15


def test_the_predicted_sign_is_a_lower_loss() -> None:
    included = np.array([[True], [False], [True], [False]])
    losses = np.array([[1.0, 5], [2.0, 5], [1.1, 5], [2.2, 5]])
    included = np.hstack([included, included ^ included])
    found = datamodelling_scores(np.array([1.0, 0.0]), losses, included, np.array([0, -1]))
    assert found[0] > 0.8


def test_an_interval_holds_its_value_and_is_seeded() -> None:
    values = np.random.default_rng(3).normal(size=300)
    one, other, wider = (
        bootstrap(lambda rows: np.array([values[rows].mean()]), 300, 200, 9, [level])[0]
        for level in (0.95, 0.95, 0.99)
    )
    assert one == other
    assert wider.low < one.low and one.high < wider.high
    assert one.low < one.value < one.high
    assert one.high - one.low == pytest.approx(2 * 1.96 / np.sqrt(300), rel=0.3)


def test_where_no_score_tells_anything_influence_is_hardly_ever_said_to_do_worse() -> None:
    """Single 95 % intervals, with signs chosen anew in each resample, said it in 14 of these 40."""
    config = ValidationConfig(resamples=100)
    said = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        names = ["influence", "loss", "length", "gradient norm", "masked loss", "another"]
        truth, scores = random.normal(size=60), random.normal(size=(6, 60))

        def correlations(
            rows: np.ndarray, truth: np.ndarray = truth, scores: np.ndarray = scores
        ) -> np.ndarray:
            return np.corrcoef(truth[rows], scores[:, rows])[0, 1:]

        said += "does worse" in _compare(names, correlations, 60, config)["sentence"]
    assert said <= 4


def test_scores_that_do_not_vary_and_adjusted_influence_are_nothing_to_beat() -> None:
    losses, included, effect = invented(models=60, noise=0.2)
    noise = np.random.default_rng(4).random(200)
    scores = {
        "influence": effect,
        "loss": noise,
        "length": np.full(200, 101.0),
        "length-adjusted influence": effect,
    }
    config = ValidationConfig(models=60, sequences=200, resamples=100)
    summary = summarise(Outcomes(scores, included, {"masked": losses}), config)
    found = summary["memorisation"]["masked"]
    assert found["beats_all"] and found["best_other"] == "loss" and found["lead_level"] == 0.95
    assert found["sentence"].endswith(
        "influence beats every trivial score here. Not compared, because equal for all: length."
    )
    assert found["leads"]["length-adjusted influence"]["value"] == 0
    assert "| length-adjusted influence |" in markdown(summary)


def test_the_report_says_for_how_many_scores_a_lead_is_corrected() -> None:
    losses, included, effect = invented(models=60, noise=0.2)
    random = np.random.default_rng(4)
    scores = {"influence": effect, "loss": random.random(200), "length": random.random(200)}
    config = ValidationConfig(models=60, sequences=200, resamples=100)
    summary = summarise(Outcomes(scores, included, {"masked": losses}), config)
    found = summary["memorisation"]["masked"]
    assert ", 97.5 % interval, 95 % for all 2 together: influence beats" in found["sentence"]
    assert "lead of influence (97.5 % interval)" in markdown(summary)
    assert summary["datamodelling"]["masked"]["lead_level"] == pytest.approx(1 - 0.05 / 3)


@pytest.mark.parametrize(("good", "words"), [(True, "beats every trivial score"), (False, "does worse than")])
def test_the_report_says_who_wins(good: bool, words: str) -> None:
    losses, included, effect = invented(models=60, noise=0.2)
    random = np.random.default_rng(4)
    scores = {"influence": effect, "length": random.random(200)}
    if not good:
        scores = {"influence": scores["length"], "length": -effect}
    config = ValidationConfig(models=60, sequences=200, resamples=100)
    summary = summarise(Outcomes(scores, included, {"masked": losses, "unmasked": losses}), config)
    found = summary["memorisation"]["masked"]
    assert words in found["sentence"]
    assert found["beats_all"] is good
    text = markdown(summary)
    assert found["sentence"] in text and "| influence |" in text and "every sequence alike" in text


def test_what_does_not_vary_is_told_as_not_defined() -> None:
    losses, included, effect = invented(models=10, sequences=40)
    config = ValidationConfig(models=10, sequences=40, resamples=20)
    scores = {"influence": effect, "length": np.ones(40)}
    summary = summarise(Outcomes(scores, included, {"masked": losses, "unmasked": 0 * losses}), config)
    assert summary["memorisation"]["masked"]["scores"]["length"]["value"] is None
    assert summary["memorisation"]["masked"]["best_other"] is None
    assert not summary["memorisation"]["masked"]["beats_all"]
    assert "Nothing that could be compared varied" in summary["memorisation"]["masked"]["sentence"]
    assert json.dumps(summary, allow_nan=False)
    assert "not defined" in markdown(summary)
    everywhere = summarise(Outcomes(scores, included | True, {"masked": losses}), config)
    assert json.dumps(everywhere, allow_nan=False) and markdown(everywhere)


def test_models_that_disagree_with_one_another_are_not_taken_at_their_word() -> None:
    losses, included, effect = invented(models=10, sequences=60)
    blind = np.random.default_rng(6).normal(size=losses.shape)
    config = ValidationConfig(models=10, sequences=60, resamples=100)
    scores = {"influence": effect, "length": np.arange(60.0)}
    summary = summarise(Outcomes(scores, included, {"masked": losses, "unmasked": blind}), config)
    found = summary["memorisation"]
    assert "says little" not in found["masked"]["sentence"]
    assert "says little" in found["unmasked"]["sentence"]
    assert "as large in 0.9901 % of random orders" in markdown(summary)
    for kind in found:
        del found[kind]["chance_of_agreement"]  # as older versions wrote it
    assert "random orders" not in markdown(summary)


def test_halves_that_agree_by_chance_are_not_taken_at_their_word() -> None:
    """By the bound on the reliability alone these were: halves of two models that share a few sequences."""
    config = ValidationConfig(models=4, sequences=20, resamples=100)
    tried = (noise(4, 20, seed) for seed in range(30))
    losses, included = next(each for each in tried if (reliability(*each) or 0) >= 0.8)
    scores = {"influence": np.arange(20.0), "length": np.arange(20.0)[::-1]}
    found = summarise(Outcomes(scores, included, {"masked": losses}), config)["memorisation"]["masked"]
    assert found["reliability"] >= 0.8
    assert "says little" in found["sentence"]
