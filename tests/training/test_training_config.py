import json
import math
from dataclasses import replace
from typing import Any

import pytest

from bioprune_core.errors import InputError
from bioprune_core.training import Decay, Precision, TrainingConfig, pretraining, subset_fine_tuning
from bioprune_core.training.optimisation import learning_rate

# What the demonstration's model and the measured results rest on.
MEASURED: dict[str, Any] = {
    "steps": 500,
    "learning_rate": 2e-3,
    "decay": Decay.COSINE,
    "token_budget": 2048,
    "checkpoint_every_steps": 125,
}


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TrainingConfig(steps=5, decay=Decay.COSINE, precision=Precision.BF16, seed=3),
        TrainingConfig(tokens=10_000, device_tokens=512, decay=Decay.INVERSE_SQUARE_ROOT),
        pretraining(),
        subset_fine_tuning(99_500_000),
    ],
)
def test_json_round_trip(config: TrainingConfig) -> None:
    assert TrainingConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", -0.5),
        ("epochs", float("inf")),
        ("steps", 0),
        ("learning_rate", -1e-4),
        ("learning_rate", float("nan")),
        ("warmup_fraction", 1.0),
        ("weight_decay", -1),
        ("token_budget", 0),
        ("token_budget", 4096.0),
        ("steps", True),
        ("seed", 1.5),
        ("device_tokens", 512.0),
        ("length_multiple", 0),
        ("mask_rate", 0),
        ("mask_rate", 1.1),
        ("seed", -1),
        ("gradient_clip", 0),
        ("checkpoint_every_steps", 0),
        ("tokens", 0),
        ("device_tokens", 0),
        ("decay", "square"),
        ("precision", "float8"),
    ],
)
def test_a_value_out_of_bounds_is_named(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        TrainingConfig(**{name: value})


def test_a_budget_in_steps_and_tokens_at_once_is_refused() -> None:
    with pytest.raises(InputError, match="tokens is 1000; it must be None where steps is 5"):
        TrainingConfig(steps=5, tokens=1000)


def test_settings_that_came_later_leave_older_configurations_as_they_were() -> None:
    names = set(TrainingConfig().to_json())
    assert {"tokens", "device_tokens"}.isdisjoint(names)
    assert set(TrainingConfig(tokens=10, device_tokens=5).to_json()) == names | {"tokens", "device_tokens"}


def test_steps_are_counted_in_the_whole_sequences_that_fit_them() -> None:
    assert TrainingConfig(steps=100, token_budget=1024).passes(50, 602.0) == 2.0
    assert TrainingConfig(steps=100, token_budget=1024).passes(50, 2000.0) == 2.0
    assert TrainingConfig(steps=100, token_budget=1024).passes(50, 102.0) == 20.0


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(InputError, match="Unknown training settings: momentum"):
        TrainingConfig.from_json({"momentum": 0.9})


@pytest.mark.parametrize("decay", list(Decay))
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_the_rate_rises_to_its_peak_and_falls_without_reaching_zero(decay: Decay, warmup: float) -> None:
    config = TrainingConfig(learning_rate=1e-3, warmup_fraction=warmup, decay=decay)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(1e-3)
    assert peak == max(0, int(warmup * 100) - 1)
    assert rates[0] > 0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    ends = {
        Decay.LINEAR: 0.02e-3,
        Decay.COSINE: 0.002e-3,
        Decay.CONSTANT: 1e-3,
        Decay.INVERSE_SQUARE_ROOT: 1e-3 * math.sqrt(max(warmup, 0.01)),
    }
    assert 0 < rates[-1] <= ends[decay] * 1.000001


def test_a_single_step_has_the_full_rate() -> None:
    for warmup in (0.0, 0.1):
        assert learning_rate(0, 1, TrainingConfig(learning_rate=1e-3, warmup_fraction=warmup)) == 1e-3


def test_large_networks_have_larger_steps_in_parts_that_a_device_takes() -> None:
    tiny, small, base, full = (pretraining(scale) for scale in ("tiny", "small", "base", "full"))
    assert tiny == small == replace(TrainingConfig(), **MEASURED)
    assert tiny.token_budget < base.token_budget < full.token_budget
    assert base.device_tokens == full.device_tokens == 8192
    assert base.token_budget / 1000 > 8, "several processes have sequences of 1,000 nt in every step"


def test_large_networks_start_with_a_smaller_learning_rate() -> None:
    rates = [pretraining(scale).learning_rate for scale in ("tiny", "small", "base", "full")]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1]
