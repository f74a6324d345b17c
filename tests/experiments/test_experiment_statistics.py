"""Intervals cover what they say, comparisons say what they can, gates fail when they should."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from bioprune_core.experiments.gates import Gate, GateState, judge, overall
from bioprune_core.experiments.statistics import Result, bootstrap_interval, compare, summarise

SEEDS = tuple(range(20))


def _values(
    mean: float, seeds: tuple[int, ...] = SEEDS, spread: float = 1.0, seed: int = 0
) -> dict[int, float]:
    random = np.random.default_rng(seed)
    return dict(zip(seeds, random.normal(mean, spread, len(seeds)).tolist(), strict=True))


def _coverage(count: int, level: float, both: bool) -> float:
    """Of the mean 0 of normal differences, over 300 trials."""
    random = np.random.default_rng(7)
    zero = dict.fromkeys(range(count), 0.0)
    covered = 0
    for _ in range(300):
        values = random.normal(size=count)
        if both:
            arm = dict(enumerate(values.tolist()))
            covered += compare(arm, zero, range(count), False, confidence=level).result is Result.TIE
        else:
            low, high = bootstrap_interval(values, level, 0, resamples=1000)
            covered += low <= 0 <= high
    return covered / 300


def test_the_bootstrap_interval_covers_as_often_as_it_says_with_twenty_pairs() -> None:
    # Standard error of the coverage: 0.013 at 95 %, 0.017 at 90 %.
    assert _coverage(20, 0.95, both=False) == pytest.approx(0.95, abs=0.04)
    assert _coverage(20, 0.90, both=False) == pytest.approx(0.90, abs=0.05)


def test_with_five_pairs_both_intervals_together_keep_the_level() -> None:
    assert _coverage(5, 0.95, both=True) >= 0.95 - 0.03
    assert _coverage(5, 0.99, both=True) >= 0.99 - 0.02


def test_a_t_interval_stands_beside_the_bootstrap_and_is_scipys() -> None:
    arm, zero = _values(0.4, SEEDS[:6]), dict.fromkeys(SEEDS, 0.0)
    found = compare(arm, zero, SEEDS[:6], False, comparisons=4)
    assert found.level == pytest.approx(1 - 0.05 / 4)
    values = list(arm.values())
    expected = stats.t.interval(found.level, 5, np.mean(values), stats.sem(values))
    assert (found.t_low, found.t_high) == pytest.approx(expected)


def test_ten_pairs_keep_the_level_of_twenty_comparisons() -> None:
    """Of null differences 0.25 % may be told; the bootstrap alone tells about 1 %."""
    random = np.random.default_rng(0)
    zero = dict.fromkeys(range(10), 0.0)
    trials, told, by_bootstrap = 1000, 0, 0
    for _ in range(trials):
        arm = dict(enumerate(random.normal(size=10).tolist()))
        found = compare(arm, zero, range(10), False, comparisons=20)
        assert found.low is not None and found.high is not None
        told += found.result is not Result.TIE
        by_bootstrap += not found.low <= 0 <= found.high
    # Three standard errors of 0.16 points.
    assert told / trials <= 0.0025 + 3 * 0.0016 < by_bootstrap / trials


def test_correcting_for_more_arms_widens_the_interval() -> None:
    arm, zero = _values(0.4), dict.fromkeys(SEEDS, 0.0)
    one, ten = (compare(arm, zero, SEEDS, False, comparisons=count) for count in (1, 10))
    assert one.low is not None and one.high is not None and ten.low is not None and ten.high is not None
    assert ten.low < one.low < one.high < ten.high


@pytest.mark.parametrize(
    ("mean", "lower_is_better", "result"),
    [(3, False, Result.WIN), (3, True, Result.LOSS), (-3, False, Result.LOSS), (-3, True, Result.WIN)],
)
@pytest.mark.parametrize("count", [5, 20])
def test_a_clear_difference_wins_or_loses_by_the_direction_of_the_metric(
    mean: float, lower_is_better: bool, result: Result, count: int
) -> None:
    seeds = SEEDS[:count]
    arm, other = _values(mean, seeds, 0.1), _values(0, seeds, 0.1, seed=1)
    assert compare(arm, other, seeds, lower_is_better).result is result


def test_no_difference_is_a_tie_and_one_pair_is_unknown() -> None:
    arm = _values(0)
    assert compare(arm, arm, SEEDS, False).result is Result.TIE
    one = compare({3: 5.0}, {3: 1.0}, (3,), False)
    assert (one.result, one.mean, one.sd, one.low) == (Result.UNKNOWN, 4.0, None, None)
    assert compare({}, {}, SEEDS, False).mean is None


def test_five_differences_of_one_sign_are_no_win_by_themselves() -> None:
    # Every resampled mean is above 0, but chance gives five of one sign in 1 of 16 cases.
    arm = dict(enumerate([0.1, 3.0, 0.2, 5.0, 0.1]))
    found = compare(arm, dict.fromkeys(arm, 0.0), tuple(arm), False)
    assert found.low is not None and found.low > 0
    assert found.result is Result.TIE


def _equal(count: int) -> tuple[dict[int, float], dict[int, float]]:
    """Accuracies in steps of a hundredth; 0.05 apart but for rounding."""
    return {seed: (75 + seed) / 100 for seed in range(count)}, {
        seed: (70 + seed) / 100 for seed in range(count)
    }


@pytest.mark.parametrize(
    ("count", "comparisons", "told"), [(2, 1, 0), (5, 1, 0), (6, 1, 1), (8, 8, 0), (9, 8, 1), (12, 1, 1)]
)
def test_equal_differences_have_no_interval_and_are_told_by_their_number(
    count: int, comparisons: int, told: bool
) -> None:
    arm, other = _equal(count)
    found = compare(arm, other, range(count), False, comparisons)
    assert found.is_equal
    assert (found.sd, found.outer, found.t_low) == (0.0, (None, None), None)
    assert found.mean == pytest.approx(0.05)
    assert found.result is (Result.WIN if told else Result.UNKNOWN)
    worse = compare(arm, other, range(count), True, comparisons)
    assert worse.result is (Result.LOSS if told else Result.UNKNOWN)


def test_differences_that_are_zero_but_for_rounding_are_a_tie() -> None:
    arm, other = {0: 0.1 + 0.2, 1: 0.3, 2: 0.1 + 0.2}, dict.fromkeys(range(3), 0.3)
    assert arm[0] != other[0]
    found = compare(arm, other, range(3), False)
    assert (found.result, found.mean, found.outer) == (Result.TIE, 0.0, (0.0, 0.0))


@pytest.mark.parametrize(
    ("count", "state"), [(2, GateState.UNDECIDED), (4, GateState.UNDECIDED), (5, GateState.PASSED)]
)
def test_a_gate_needs_five_equal_differences(count: int, state: GateState) -> None:
    better, worse = _equal(count)
    verdict = judge(Gate.TRAINED, ("rbp", "probe", "accuracy", 200), better, worse, range(count), False)
    assert verdict.state is state
    if state is GateState.UNDECIDED:
        assert verdict.sentence.endswith(f"with {count} pairs of seeds whose differences all are +0.05.")


def test_pairs_are_of_the_same_seed_and_missing_ones_are_named() -> None:
    arm = {0: 1.0, 1: 2.0, 3: 4.0}
    other = {3: 1.0, 1: 1.0, 2: 9.0}
    found = compare(arm, other, (0, 1, 2, 3, 4, 5), False)
    assert (found.pairs, found.mean) == (2, 2.0)
    assert found.missing == (
        "seed 0: the other arm has no value",
        "seed 2: this arm has no value",
        "seeds 4, 5: neither arm has a value",
    )


def test_the_interval_depends_on_its_seed_alone() -> None:
    values = np.arange(12.0)
    assert bootstrap_interval(values, 0.95, 3) == bootstrap_interval(values, 0.95, 3)
    assert bootstrap_interval(values, 0.95, 3, 500) != bootstrap_interval(values, 0.95, 4, 500)


def test_summaries_are_of_the_sample_and_refuse_what_is_not_finite() -> None:
    found = summarise([1.0, 2.0, 6.0])
    assert (found.count, found.mean) == (3, 3.0)
    assert found.sd == pytest.approx(math.sqrt(7))
    assert (summarise([4.0]).sd, summarise([]).mean) == (None, None)
    with pytest.raises(ValueError, match="1 values to summarise are not finite"):
        summarise([1.0, math.nan])


@pytest.mark.parametrize(
    ("difference", "lower_is_better", "state"),
    [
        (2.0, False, GateState.PASSED),
        (-2.0, False, GateState.FAILED),
        (0.0, False, GateState.FAILED),
        (2.0, True, GateState.FAILED),
        (-2.0, True, GateState.PASSED),
    ],
)
def test_a_gate_is_passed_only_where_the_better_one_is_shown_to_be_better(
    difference: float, lower_is_better: bool, state: GateState
) -> None:
    seeds = SEEDS[:5]
    better, worse = _values(difference, seeds, 0.1), _values(0, seeds, 0.1, seed=4)
    verdict = judge(Gate.LARGER, ("rbp", "probe", "auc", 200), better, worse, seeds, lower_is_better)
    assert verdict.state is state
    assert ("cannot rank" in verdict.sentence) is (state is GateState.FAILED)


def test_a_gate_with_one_pair_is_undecided() -> None:
    verdict = judge(Gate.TRAINED, ("rbp", "probe", "auc", 200), {0: 1.0}, {0: 0.0}, (0,), False)
    assert verdict.state is GateState.UNDECIDED
    assert "not decided, with 1 pair" in verdict.sentence


def test_gates_that_say_nothing_are_passed_one_time_in_twenty() -> None:
    random = np.random.default_rng(2)
    passed = 0
    for _ in range(300):
        sides = [dict(enumerate(random.normal(size=6).tolist())) for _ in range(2)]
        verdict = judge(Gate.LARGER, ("rbp", "probe", "auc", 20), sides[0], sides[1], range(6), False)
        passed += verdict.state is GateState.PASSED
    # Standard error 0.013.
    assert passed / 300 == pytest.approx(0.05, abs=0.04)


def test_an_undecided_table_does_not_deny_the_others() -> None:
    passed = judge(
        Gate.LARGER,
        ("rbp", "probe", "auc", 20),
        _values(3, SEEDS[:5], 0.1),
        _values(0, SEEDS[:5], 0.1),
        SEEDS[:5],
        False,
    )
    undecided = judge(Gate.LARGER, ("m6a", "probe", "auc", 20), {0: 1.0}, {0: 0.0}, (0,), False)
    assert overall([passed, undecided]) == (
        "1 of 2 tables cannot rank selections yet, because a gate is not decided: m6a (probe) at B = 20."
    )
    assert overall([undecided]).startswith(
        "This experiment cannot rank selections yet: gates are not decided"
    )


def test_the_conclusion_names_the_tables_that_cannot_rank() -> None:
    seeds = SEEDS[:5]
    good, bad = _values(3, seeds, 0.1), _values(0, seeds, 0.1)

    def verdicts(*states: bool) -> list[object]:
        named = [(task, gate) for task in ("rbp", "crispr") for gate in Gate]
        return [
            judge(gate, (task, "probe", "auc", 20), good if state else bad, bad, seeds, False)
            for (task, gate), state in zip(named, states, strict=True)
        ]

    for states in itertools.product((True, False), repeat=4):
        text = overall(verdicts(*states))  # type: ignore[arg-type]
        rbp, crispr = all(states[:2]), all(states[2:])
        assert ("selections can be ranked" in text) is (rbp and crispr)
        assert text.startswith("This experiment cannot rank selections") is not (rbp or crispr)
        assert ("rbp (probe)" in text) is not rbp
        assert ("crispr (probe)" in text) is not crispr
