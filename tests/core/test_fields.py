"""What configurations refuse is told in the sentences of their part, with the value and what it may be."""

from collections.abc import Callable
from typing import Any

import pytest

from bioprune_core.errors import InputError, SelectionError
from bioprune_core.evaluation import FineTuneSettings, Pooling, ProbeSettings
from bioprune_core.experiments import TaskChoice
from bioprune_core.experiments.settings import refuse
from bioprune_core.fields import member, require
from bioprune_core.selection import SelectionConfig, Strategy
from bioprune_core.tasks import OwnKind
from bioprune_core.training import Decay, TrainingConfig

SENTENCES: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (
        TrainingConfig,
        {"decay": "square"},
        "The training setting decay is 'square'; it must be one of linear, cosine, inverse-square-root, "
        "constant.",
    ),
    (TrainingConfig, {"epochs": -0.5}, "The training setting epochs is -0.5; it must be at least 0."),
    (
        TrainingConfig,
        {"seed": "three"},
        "The training setting seed is three; it must be a whole number, without a decimal point.",
    ),
    (
        ProbeSettings,
        {"pooling": "max"},
        "The evaluation setting pooling is 'max'; it must be one of mean, cls, layers.",
    ),
    (
        ProbeSettings,
        {"precision": None},
        "The evaluation setting precision is None; it must be one of auto, float32, bf16.",
    ),
    (
        FineTuneSettings,
        {"pooling": Pooling.LAYERS},
        "The evaluation setting pooling is layers; it must be mean or cls where all weights are trained; "
        "layers is for the probe.",
    ),
    (
        TaskChoice,
        {"name": "mine", "folder": "a", "kind": "pairs"},
        "The experiment's kind of task mine is 'pairs'; it must be one of ",
    ),
    (TaskChoice, {"name": "", "folder": "a"}, "The experiment's name of a task is ''; it must be a text"),
    (
        SelectionConfig,
        {"strategy": "best"},
        "Unknown strategy 'best'. Choose one of: top_influence, coverage_centric, random, "
        "bottom_influence, length_stratified.",
    ),
    (SelectionConfig, {"strata_kind": 3}, "Unknown strata kind 3. Choose one of: equal-width, log-width, "),
]


@pytest.mark.parametrize(("configuration", "values", "sentence"), SENTENCES)
def test_what_is_refused_is_told_in_the_sentence_of_its_part(
    configuration: Callable[..., Any], values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError) as refusal:
        configuration(**values)
    assert refusal.value.message.startswith(sentence)
    assert isinstance(refusal.value, SelectionError) == (configuration is SelectionConfig)


def test_members_are_taken_by_name_or_as_they_are() -> None:
    assert TrainingConfig(decay="cosine").decay is Decay.COSINE  # type: ignore[arg-type]
    assert ProbeSettings(pooling="layers").pooling is Pooling.LAYERS  # type: ignore[arg-type]
    assert SelectionConfig("random").strategy is Strategy.RANDOM  # type: ignore[arg-type]
    assert TaskChoice("mine", "a", kind=OwnKind.REGRESSION).kind is OwnKind.REGRESSION


def test_braces_in_a_value_are_no_fields_of_the_sentence() -> None:
    with pytest.raises(InputError, match=r"is '\{choices\}'; it must be one of linear"):
        member(Decay, "{choices}", "decay")
    with pytest.raises(InputError, match=r"is \{a\}; it must be less"):
        require(False, "setting", "{a}", "must be less")


def test_nothing_is_said_where_the_bound_holds() -> None:
    require(True, "setting", 1, "must be 1")
    refuse(False, "setting", 1, "must be 1")
