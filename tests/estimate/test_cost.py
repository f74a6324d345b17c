"""The arithmetic from measured batches to a run."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioprune_core.diagnostics.configuration import DiagnosticsConfig
from bioprune_core.estimate import BatchCosts, RunCost, project_cost
from bioprune_core.training.config import TrainingConfig

COSTS = BatchCosts(
    device="cpu",
    parameters=1_000_000,
    weight_bytes=4_000_000,
    width=128,
    kept_bytes_a_token=0,
    fisher_bytes=8 * 128**2,
    fisher_part_sequences=512,
    special_tokens=2,
    maximum_residues=1022,
    load_s=4.0,
    start_s=1.0,
    trial_s=0.0,
    tokens=(52.0, 102.0, 402.0),
    score_s=(0.52, 1.02, 8.04),
    train_s=0.03,
    measure_s=0.012,
    peak_bytes=10**9,
    device_peak_bytes=0,
    batches=16,
)
PLAN: dict[str, Any] = {
    "subset_size": 10,
    "held_out_size": 5,
    "shard_size": 4096,
    "landmarks": 20_000,
    "diagnostics": DiagnosticsConfig(enabled=False),
}
LENGTHS = st.lists(st.integers(1, 3_000), min_size=1, max_size=60).map(np.array)


def test_a_measured_length_costs_what_was_measured() -> None:
    assert COSTS.scoring_seconds(np.array([50])) == pytest.approx(0.52)
    assert COSTS.scoring_seconds(np.array([400, 400])) == pytest.approx(2 * 8.04)


@given(LENGTHS, LENGTHS)
def test_the_cost_of_two_pools_is_the_sum(one: np.ndarray, other: np.ndarray) -> None:
    both = np.concatenate([one, other])
    total = COSTS.scoring_seconds(one) + COSTS.scoring_seconds(other)
    assert COSTS.scoring_seconds(both) == pytest.approx(total)
    assert COSTS.token_count(both) == COSTS.token_count(one) + COSTS.token_count(other)


@given(LENGTHS)
def test_residues_beyond_the_limit_cost_nothing(lengths: np.ndarray) -> None:
    cut = np.minimum(lengths, COSTS.maximum_residues)
    assert COSTS.scoring_seconds(lengths) == pytest.approx(COSTS.scoring_seconds(cut))


def test_every_stage_has_its_share() -> None:
    lengths = np.full(100, 100)
    cost = project_cost(COSTS, lengths, training=TrainingConfig(epochs=2.0), **PLAN)
    assert cost.tokens == 10_200
    assert cost.stages["score"] == pytest.approx(1 + 102.0)
    assert cost.stages["fisher"] == pytest.approx(1 + 10.2)
    assert cost.stages["fine-tune"] == pytest.approx(5 + 2 * 10 * 102 * 0.03 + 2 * 15 * 102 * 0.012)
    assert cost.seconds == pytest.approx(sum(cost.stages.values()))


@pytest.mark.parametrize(
    "training",
    [TrainingConfig(steps=40, token_budget=510), TrainingConfig(tokens=20_400), TrainingConfig(epochs=20.0)],
)
def test_a_fine_tuning_costs_the_same_whatever_it_is_counted_in(training: TrainingConfig) -> None:
    diagnostics = DiagnosticsConfig(enabled=True, sample_size=20, curvature_sample=0)
    plan = PLAN | {"diagnostics": diagnostics}
    cost = project_cost(COSTS, np.full(100, 100), training=training, **plan)
    assert cost.stages["fine-tune"] == pytest.approx(5 + 20_400 * 0.03 + 2 * 15 * 102 * 0.012)
    # Ten sequences of a second subset and twenty of the sample, scored like the others.
    assert cost.stages["diagnostics"] == pytest.approx(5 + 30 * 1.02)


def test_without_fine_tuning_losses_are_measured_once() -> None:
    cost = project_cost(COSTS, np.full(100, 100), training=TrainingConfig(epochs=0), **PLAN)
    assert cost.stages["fine-tune"] == pytest.approx(4 + 1 + 15 * 102 * 0.012)


def test_finding_the_token_budget_is_a_part_of_the_fisher_pass() -> None:
    lengths, training = np.full(100, 100), TrainingConfig()
    without = project_cost(COSTS, lengths, training=training, **PLAN)
    tried = project_cost(replace(COSTS, trial_s=7.0), lengths, training=training, **PLAN)
    assert tried.stages == {**without.stages, "fisher": pytest.approx(without.stages["fisher"] + 7.0)}


def test_diagnostics_cost_something_where_they_are_on() -> None:
    lengths, training = np.full(10_000, 100), TrainingConfig()
    without = project_cost(COSTS, lengths, training=training, **PLAN)
    checked = PLAN | {"diagnostics": DiagnosticsConfig()}
    extra = project_cost(COSTS, lengths, training=training, **checked).seconds - without.seconds
    # 10 + 2,000 sequences under a second subset's Fisher, 10 + 300 under other forms of it.
    assert extra == pytest.approx(5 + 2_320 / 10_000 * 10_200, rel=0.01)


def test_a_training_in_steps_goes_by_what_fits_its_token_budget() -> None:
    lengths = np.full(100, 100)
    few = project_cost(COSTS, lengths, training=TrainingConfig(steps=10, token_budget=1_000), **PLAN)
    more = project_cost(COSTS, lengths, training=TrainingConfig(steps=30, token_budget=1_000), **PLAN)
    assert more.stages["fine-tune"] - few.stages["fine-tune"] == pytest.approx(
        20 * 9 * 102 * 0.03
    )  # whole sequences


def test_disk_and_memory_grow_with_the_pool_and_the_shard() -> None:
    training = TrainingConfig()
    small = project_cost(COSTS, np.full(1_000, 100), training=training, **PLAN)
    large = project_cost(COSTS, np.full(100_000, 100), training=training, **PLAN)
    wider = project_cost(replace(COSTS, width=1280), np.full(100_000, 100), training=training, **PLAN)
    assert small.disk_bytes < large.disk_bytes < wider.disk_bytes
    assert large.memory_bytes < wider.memory_bytes


def test_every_part_of_the_fisher_takes_disk_and_so_does_a_second_one() -> None:
    def disk(subset: int, second: bool) -> int:
        plan = PLAN | {"subset_size": subset, "diagnostics": DiagnosticsConfig(enabled=second)}
        return project_cost(COSTS, np.full(10_000, 100), training=TrainingConfig(), **plan).disk_bytes

    assert disk(1_500, second=False) - disk(500, second=False) == 2 * COSTS.fisher_bytes
    assert disk(1_500, second=True) - disk(1_500, second=False) == 4 * COSTS.fisher_bytes


def test_the_full_fisher_is_paid_for_in_memory() -> None:
    """The gradients that it keeps, and the matrices of members by members that its eigenvalues take."""
    lengths = np.full(10_000, 100)
    costs = [
        project_cost(
            replace(COSTS, width=128),
            lengths,
            training=TrainingConfig(),
            **PLAN | {"subset_size": 2_000, "diagnostics": DiagnosticsConfig(curvature_members=members)},
        )
        for members in (1_000, 2_000)
    ]
    more = 1_000 * 128**2 + 5 * (2_000**2 - 1_000**2)
    assert costs[1].memory_bytes - costs[0].memory_bytes == 8 * more


def test_a_cost_survives_its_file() -> None:
    cost = project_cost(COSTS, np.array([30, 90]), training=TrainingConfig(), **PLAN | {"subset_size": 1})
    assert RunCost.from_json(json.loads(json.dumps(cost.to_json()))) == cost


def test_windows_of_long_sequences_are_paid_for() -> None:
    long = np.array([50, 3_000])
    cut = project_cost(COSTS, long, **PLAN | {"subset_size": 1}, training=TrainingConfig(epochs=1))
    whole = project_cost(
        COSTS, long, **PLAN | {"subset_size": 1}, training=TrainingConfig(epochs=1), windows=True
    )
    # Three windows of 1,000 residues with a cls and an eos each.
    assert whole.tokens == 52 + 3_006
    pieces = COSTS.scoring_seconds(np.array([50, 1_000, 1_000, 1_000]))
    assert whole.stages["score"] - COSTS.start_s == pytest.approx(pieces)
    assert whole.stages["fine-tune"] == cut.stages["fine-tune"]


def test_kept_inputs_save_the_subsets_share_of_the_scores_and_take_disk() -> None:
    lengths = np.full(100, 100)
    without = project_cost(COSTS, lengths, training=TrainingConfig(), **PLAN)
    with_them = project_cost(
        replace(COSTS, kept_bytes_a_token=512), lengths, training=TrainingConfig(), **PLAN
    )
    scoring = without.stages["score"] - COSTS.start_s
    assert with_them.stages["score"] - COSTS.start_s == pytest.approx(0.9 * scoring)
    assert (without.cache_bytes, with_them.cache_bytes) == (0, 10 * 102 * 512)
    few = project_cost(
        replace(COSTS, kept_bytes_a_token=512), np.full(201, 100), training=TrainingConfig(), **PLAN
    )
    assert few.cache_bytes == 0
