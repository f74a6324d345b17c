"""The plan: keys depend on content alone, and costs are what was measured times what is left."""

from dataclasses import replace

import numpy as np
import pytest
from planned_trial import INPUTS, configured, experiment, make_pool

from bioprune_core.errors import InputError
from bioprune_core.evaluation import Method
from bioprune_core.experiments import (
    Inputs,
    MeasuredSeconds,
    Place,
    Plan,
    draw,
    draw_seed,
    plan_cells,
    plan_cost,
)


def _plan(**changes: object) -> Plan:
    return plan_cells(configured(**changes), make_pool(saved={"mine": np.arange(40, 60)}), INPUTS)


def _keys(plan: Plan) -> set[str]:
    return {cell.key for cell in plan.pretrainings} | {cell.key for cell in plan.evaluations}


@pytest.mark.parametrize(
    "more",
    [
        {"arms": [*experiment()["arms"], {"kind": "full"}]},
        {"seeds": [0, 1, 2, 9]},
        {"sizes": [10, 20]},
        {"tasks": [*experiment()["tasks"], {"name": "rbp", "folder": "data/clip"}]},
        {"protocols": ["probe", "fine-tune"]},
        {"mixtures": ["source", "label"]},
    ],
    ids=lambda more: next(iter(more)),
)
def test_adding_to_an_experiment_leaves_every_key_as_it_was(more: dict[str, object]) -> None:
    before, after = _plan(), _plan(**more)
    assert _keys(before) < _keys(after)
    done = after.remaining(_keys(before))
    assert _keys(done) == _keys(after) - _keys(before)


def test_a_new_name_of_arm_or_experiment_changes_no_key() -> None:
    arms = [{"kind": "top-influence", "name": "best"}, experiment()["arms"][1]]
    assert _keys(_plan(name="again", arms=arms)) == _keys(_plan())


@pytest.mark.parametrize(
    "change",
    [
        {"pretraining": experiment()["pretraining"] | {"amount": 200}},
        {"pretraining": experiment()["pretraining"] | {"training": {"token_budget": 2048}}},
        {"pretraining": experiment()["pretraining"] | {"budget": "equal-epochs"}},
        {"pretraining": experiment()["pretraining"] | {"budget": "equal-tokens"}},
    ],
)
def test_another_training_changes_all_keys_but_those_of_untrained_networks(change: dict[str, object]) -> None:
    before, after = _plan(), _plan(**change)
    untrained = {cell.key for cell in before.pretrainings if not cell.trained}
    evaluated = {cell.key for cell in before.evaluations if cell.pretraining in untrained}
    assert _keys(before) & _keys(after) == untrained | evaluated


@pytest.mark.parametrize(
    "inputs",
    [
        replace(INPUTS, dataset="e" * 64),
        replace(INPUTS, held_out="e" * 64),
        replace(INPUTS, tasks={"rna-type": "e" * 64}),
    ],
    ids=["dataset", "held out", "task"],
)
def test_other_content_changes_the_keys_of_what_is_made_from_it(inputs: Inputs) -> None:
    pool = make_pool()
    before, after = plan_cells(configured(), pool, INPUTS), plan_cells(configured(), pool, inputs)
    trained = [{cell.key for cell in plan.pretrainings if cell.trained} for plan in (before, after)]
    of_task = inputs.tasks != INPUTS.tasks
    assert bool(trained[0] & trained[1]) is of_task
    evaluated = [
        {cell.key for cell in plan.evaluations if of_task or cell.pretraining in keys}
        for plan, keys in zip((before, after), trained, strict=True)
    ]
    assert not evaluated[0] & evaluated[1]


@pytest.mark.parametrize("protocol", list(Method))
def test_another_version_of_a_protocol_measures_anew_what_goes_by_it_and_trains_nothing(
    monkeypatch: pytest.MonkeyPatch, protocol: Method
) -> None:
    both = (Method.PROBE, Method.FINE_TUNE)
    before = _plan(protocols=both)
    version = {Method.PROBE: "PROBE_VERSION", Method.FINE_TUNE: "FINE_TUNE_VERSION"}[protocol]
    monkeypatch.setattr(f"bioprune_core.experiments.cells.{version}", -1)
    after = _plan(protocols=both)
    assert before.pretrainings == after.pretrainings
    for old, new in zip(before.evaluations, after.evaluations, strict=True):
        assert (old.key == new.key) == (old.protocol is not protocol)


@pytest.mark.parametrize(
    ("changes", "inputs"),
    [
        ({"pretraining": experiment()["pretraining"] | {"training": {"mask_rate": 0.3}}}, INPUTS),
        ({"draw_seed": 1}, INPUTS),
        ({}, replace(INPUTS, alphabet="protein")),
    ],
    ids=["masks", "seed of the masks", "alphabet"],
)
def test_an_untrained_networks_losses_are_those_of_how_they_are_measured(
    changes: dict[str, object], inputs: Inputs
) -> None:
    before, after = (
        {cell.key for cell in plan_cells(config, make_pool(), of).pretrainings if not cell.trained}
        for config, of in ((configured(), INPUTS), (configured(**changes), inputs))
    )
    assert not before & after


def test_equal_draws_of_a_seed_share_one_network() -> None:
    pool = make_pool()
    top = draw(configured().arms[0], 20, pool, 0)
    config = configured(arms=[{"kind": "top-influence"}, {"kind": "saved", "coreset": "same"}])
    plan = plan_cells(config, make_pool(saved={"same": top}), INPUTS)
    places = plan.places()
    for seed in config.seeds:
        assert places[Place("top-influence", 20, seed)] is places[Place("same", 20, seed)]
    assert len({places[Place("same", 20, seed)].key for seed in config.seeds}) == len(config.seeds)


def test_arms_without_a_size_are_trained_once_for_all_sizes() -> None:
    plan = _plan(sizes=[10, 20, 30], arms=[{"kind": "full"}])
    assert sum(place.arm == "full" for place in plan.places()) == 3
    assert sum(place.arm == "untrained" for place in plan.places()) == 3


def test_every_evaluation_has_its_network_in_the_plan() -> None:
    plan = _plan(protocols=["probe", "fine-tune"])
    networks = {cell.key: cell for cell in plan.pretrainings}
    assert len(plan.evaluations) == 2 * len(networks)
    for cell in plan.evaluations:
        assert {place.seed for place in networks[cell.pretraining].places} == {cell.seed}


def test_a_place_says_how_to_draw_what_its_network_is_trained_on() -> None:
    config, pool = configured(), make_pool()
    arms = {arm.name: arm for arm in config.all_arms}
    for place, cell in plan_cells(config, pool, INPUTS).places().items():
        positions = draw(arms[place.arm], place.size, pool, draw_seed(config.draw_seed, place.seed))
        assert cell.drawn.sequences == len(positions)
        assert cell.drawn.tokens == pool.lengths[positions].sum()


def test_a_task_without_a_content_hash_is_refused() -> None:
    with pytest.raises(InputError, match="no content hash of the task rna-type"):
        plan_cells(configured(), make_pool(), Inputs("d", {}, "h", "rna"))


def test_what_a_saved_coreset_has_lost_is_said() -> None:
    """Of these 40 sequences 2 are held out: positions from 380."""
    arms = [{"kind": "saved", "coreset": "mine", "sizes": [40]}]
    pool = make_pool(saved={"mine": np.arange(342, 382)})
    plan = plan_cells(configured(sizes=[20, 40], arms=arms), pool, INPUTS)
    assert plan.places()[Place("mine", 40, 0)].drawn.sequences == 38
    assert any(note.startswith('2 of the 40 sequences of the saved coreset "mine"') for note in plan.notes)
    with pytest.raises(InputError, match="27 are neither excluded nor held out: too few"):
        draw(configured(sizes=[40], arms=arms).arms[0], 40, make_pool(saved={"mine": np.arange(353, 393)}), 0)


def test_a_tenfold_draw_that_the_pool_does_not_hold_is_said() -> None:
    assert _plan(sizes=[20]).notes == ()
    assert "Ten times 40 are more than the 350" in _plan(sizes=[20, 40]).notes[0]


def test_the_cost_is_measured_seconds_times_cells() -> None:
    plan = _plan()
    measured = MeasuredSeconds(0.001, {("rna-type", Method.PROBE): 7.0})
    cost = plan_cost(plan, measured)
    trained = [cell for cell in plan.pretrainings if cell.trained]
    assert cost.pretrainings == len(trained)
    assert cost.pretraining_seconds == pytest.approx(len(trained) * 100 * 1024 * 0.001)
    assert cost.evaluation_seconds == pytest.approx(7.0 * len(plan.pretrainings))
    assert cost.seconds == cost.pretraining_seconds + cost.evaluation_seconds
    nothing = plan_cost(plan.remaining(_keys(plan)), measured)
    assert (nothing.seconds, nothing.pretrainings, nothing.evaluations) == (0, 0, 0)


def test_what_was_not_measured_is_named_and_in_no_sum() -> None:
    cost = plan_cost(_plan(), MeasuredSeconds(0.001, {}))
    assert cost.evaluation_seconds == 0
    assert cost.unmeasured == (("rna-type", "probe", cost.evaluations),)
    assert "not measured" in cost.sentence


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_impossible_measurements_are_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="must be above 0"):
        MeasuredSeconds(seconds, {})
