"""What arms draw: sizes, groups, seeds, and what they may never draw."""

from typing import Any

import numpy as np
import pytest
from planned_trial import SIZE, configured, make_pool

from bioprune_core.errors import InputError
from bioprune_core.experiments import (
    Arm,
    ArmKind,
    Role,
    draw,
    hold_out,
)
from bioprune_core.experiments.draws import prune_rate_for, summarise_draw
from bioprune_core.experiments.pool import UNGROUPED

TOP = Arm(ArmKind.TOP_INFLUENCE)
CCI = Arm(ArmKind.COVERAGE_CENTRIC, strata=5)
SIZED = (
    Arm(ArmKind.RANDOM),
    TOP,
    CCI,
    Arm(ArmKind.BOTTOM_INFLUENCE),
    Arm(ArmKind.STRATEGY, strategy="length_stratified", strata=5),
    Arm(ArmKind.TOP_INFLUENCE, measure="length-adjusted"),
    Arm(ArmKind.MIXTURE_MATCHED, of=TOP, grouping="source"),
    Arm(ArmKind.TOP_INFLUENCE, one_per="cluster"),
    Arm(ArmKind.SAVED, coreset="mine"),
)


@pytest.mark.parametrize("arm", SIZED, ids=lambda arm: arm.name)
def test_every_arm_draws_b_sequences_and_none_that_is_excluded_or_held_out(arm: Arm) -> None:
    pool = make_pool(saved={"mine": np.arange(25, 47)})
    drawn = draw(arm, 17, pool, 5)
    assert drawn.dtype == np.int64
    assert len(drawn) == len(set(drawn.tolist())) == 17
    assert (np.diff(drawn) > 0).all()
    assert not set(drawn.tolist()) - set(pool.eligible.tolist())


@pytest.mark.parametrize("arm", SIZED[:-1], ids=lambda arm: arm.name)
def test_a_draw_does_not_depend_on_the_order_of_the_rows(arm: Arm) -> None:
    pool = make_pool()
    order = np.random.default_rng(3).permutation(SIZE)
    shuffled = make_pool(
        hashes=pool.hashes[order],
        lengths=pool.lengths[order],
        influence=pool.influence[order] if pool.influence is not None else None,
        groups={name: codes[order] for name, codes in pool.groups.items()},
        excluded=(np.arange(SIZE) < 30)[order],
        held_out=(np.arange(SIZE) >= SIZE - 20)[order],
    )
    first, second = draw(arm, 40, pool, 1), draw(arm, 40, shuffled, 1)
    assert set(pool.hashes[first]) == set(shuffled.hashes[second])
    assert summarise_draw(first, pool) == summarise_draw(second, shuffled)


def test_top_and_bottom_are_the_ends_of_what_may_be_drawn() -> None:
    pool = make_pool()
    assert pool.influence is not None
    eligible = pool.eligible
    ranked = eligible[np.argsort(pool.influence[eligible])]
    assert draw(TOP, 10, pool, 0).tolist() == sorted(ranked[-10:].tolist())
    assert draw(Arm(ArmKind.BOTTOM_INFLUENCE), 10, pool, 0).tolist() == sorted(ranked[:10].tolist())


@pytest.mark.parametrize("arm", SIZED, ids=lambda arm: arm.name)
def test_a_seed_moves_random_draws_and_no_others(arm: Arm) -> None:
    pool = make_pool(saved={"mine": np.arange(40, 60)})
    same = np.array_equal(draw(arm, 20, pool, 0), draw(arm, 20, pool, 1))
    assert same is not arm.is_random


@pytest.mark.parametrize("kind", ["random", "top-influence", "coverage-centric"])
@pytest.mark.parametrize("grouping", ["label", "cluster"])
def test_of_a_group_one_sequence_is_drawn_at_most_and_of_those_in_none_all_may_be(
    kind: str, grouping: str
) -> None:
    pool = make_pool()
    codes = pool.codes(grouping).copy()
    codes[::3] = UNGROUPED
    pool = make_pool(groups={**pool.groups, grouping: codes})
    codes = codes[draw(Arm(ArmKind(kind), strata=5, hardest_cut="0", one_per=grouping), 60, pool, 2)]
    grouped = codes[codes != UNGROUPED]
    assert len(set(grouped.tolist())) == len(grouped) > 0
    assert len(codes) - len(grouped) > 1


def test_one_per_group_is_uniform_over_groups_however_large_they_are() -> None:
    pool = make_pool()
    codes = np.where(np.arange(SIZE) < SIZE // 2, 0, np.arange(SIZE))
    pool = make_pool(groups={"cluster": codes})
    arm = Arm(ArmKind.RANDOM, one_per="cluster")
    groups = len(np.unique(codes[pool.eligible]))
    large = sum(0 in codes[draw(arm, groups // 4, pool, seed)] for seed in range(400))
    # A quarter of the groups is drawn: 100 expected, standard deviation 8.7.
    assert 70 < large < 130


def test_where_arms_draw_one_per_group_so_does_a_random_control_at_their_sizes() -> None:
    arms: list[dict[str, Any]] = [
        {"kind": "top-influence", "one_per": "cluster", "sizes": [20]},
        {"kind": "coverage-centric", "strata": 5, "one_per": "cluster", "sizes": [30]},
        {"kind": "top-influence", "one_per": "label", "name": "by label"},
    ]
    config = configured(arms=arms, sizes=[20, 30, 40])
    random = [arm for arm in config.all_arms if arm.kind is ArmKind.RANDOM and arm.one_per]
    assert [(arm.one_per, arm.sizes) for arm in random] == [("cluster", (20, 30)), ("label", ())]
    assert {config.role(arm) for arm in random} == {Role.CONTROL}
    assert config.reference.one_per == ""
    assert config.groupings == (*config.mixtures, "cluster", "label")


def test_more_than_there_are_groups_is_refused() -> None:
    pool = make_pool(groups={"label": np.arange(SIZE) % 12})
    arm = Arm(ArmKind.RANDOM, one_per="label")
    assert len(draw(arm, 11, pool, 0)) == 11
    with pytest.raises(InputError, match=r"but 12 of 400 .* one per label; a size must be"):
        draw(arm, 12, pool, 0)


def test_random_is_uniform_over_what_may_be_drawn() -> None:
    pool = make_pool()
    counts = np.zeros(SIZE)
    for seed in range(400):
        counts[draw(Arm(ArmKind.RANDOM), 35, pool, seed)] += 1
    # 400 draws at a tenth: mean 40, standard deviation 6.
    assert counts[pool.eligible].mean() == pytest.approx(40)
    assert counts[pool.eligible].std() == pytest.approx(6, rel=0.15)


def test_random_draws_of_a_seed_are_nested() -> None:
    pool = make_pool()
    small = draw(Arm(ArmKind.RANDOM), 20, pool, 4)
    tenfold = draw(Arm(ArmKind.RANDOM_TENFOLD), 20, pool, 4)
    assert len(tenfold) == 200
    assert set(small) < set(tenfold)


def test_tenfold_random_stops_at_what_there_is() -> None:
    pool = make_pool()
    tenfold = draw(Arm(ArmKind.RANDOM_TENFOLD), 60, pool, 4)
    assert np.array_equal(tenfold, draw(Arm(ArmKind.FULL), 60, pool, 0))
    assert np.array_equal(tenfold, pool.eligible)


@pytest.mark.parametrize("pool_size", [7, 997, 200_003, 23_000_001])
def test_the_prune_rate_of_a_size_gives_back_the_size(pool_size: int) -> None:
    config = TOP.selection_config
    for size in {1, 2, pool_size // 3, pool_size - 1}:
        assert config(prune_rate_for(size, pool_size), 0).coreset_size(pool_size) == size


@pytest.mark.parametrize("size", [0, 350, 400])
def test_a_size_that_is_no_selection_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"coreset size is {size}, but 350 of 400"):
        draw(TOP, size, make_pool(), 0)


def test_a_saved_coreset_of_another_size_is_refused_with_its_own() -> None:
    pool = make_pool(saved={"mine": np.arange(20, 60)})
    with pytest.raises(InputError, match=r"has 40 sequences, but the coreset size is 20.*sizes = \[40\]"):
        draw(Arm(ArmKind.SAVED, coreset="mine"), 20, pool, 0)
    with pytest.raises(InputError, match='no saved coreset "other" of this pool; there is: mine'):
        draw(Arm(ArmKind.SAVED, coreset="other"), 20, pool, 0)


def test_influence_arms_need_influence_and_others_do_not() -> None:
    pool = make_pool(influence=None)
    with pytest.raises(InputError, match="names no scored run"):
        draw(TOP, 20, pool, 0)
    assert len(draw(SIZED[4], 20, pool, 0)) == 20


def test_the_controls_are_there_whatever_is_asked_for() -> None:
    for arms in ([], [{"kind": "full"}], [{"kind": "top-influence"}, {"kind": "random"}]):
        kinds = {arm.kind for arm in configured(arms=arms).all_arms}
        assert {"random", "random-10x", "untrained", "bottom-influence"} <= kinds


def test_without_a_run_there_is_no_bottom_influence() -> None:
    kinds = {arm.kind for arm in configured(run=None, arms=[]).all_arms}
    assert kinds == {"random", "random-10x", "untrained"}


def test_a_restricted_control_does_not_replace_the_whole_one() -> None:
    config = configured(sizes=[10, 20], arms=[{"kind": "random", "sizes": [10], "name": "extra"}])
    assert config.reference.name == "random"
    assert not config.reference.sizes


def test_a_control_cannot_be_shadowed_by_its_name() -> None:
    with pytest.raises(InputError, match="must not repeat a name"):
        configured(arms=[{"kind": "top-influence", "name": "bottom-influence"}])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"kind": "best"}, "kind of an arm is 'best'; it must be one of full"),
        ({}, "without a kind"),
        ({"kind": "strategy"}, "needs `strategy`"),
        ({"kind": "strategy", "strategy": "magic"}, "strategy of an arm is 'magic'; it must be one of "),
        ({"kind": "full", "coreset": "mine"}, "belongs to kind saved"),
        ({"kind": "full", "one_per": "cluster"}, "belongs to random and selecting arms"),
        ({"kind": "random", "one_per": "clusters"}, "'clusters'. Choose one of: source, label, cluster"),
        ({"kind": "mixture-matched", "grouping": "source"}, "needs `of`"),
        ({"kind": "coverage-centric", "strata": 0}, "between 1 and"),
        ({"kind": "coverage-centric", "strata_kind": "round"}, "Unknown strata kind"),
        ({"kind": "coverage-centric", "beta": 5}, "Unknown fields of an arm: beta"),
    ],
)
def test_an_arm_that_makes_no_sense_is_refused(value: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Arm.from_json(value)


def test_held_out_families_are_whole_and_the_share_is_of_the_rest() -> None:
    pool = make_pool()
    excluded = np.arange(SIZE) < 30
    codes = pool.groups["label"]
    names = [f"family {code}" for code in range(12)]
    held = hold_out(pool.hashes, excluded, 0.29, ["family 3", "family 7"], (codes, names), 0)
    assert np.array_equal(held.families, np.isin(codes, [3, 7]) & ~excluded)
    rest = np.count_nonzero(~excluded & ~held.families)
    assert np.count_nonzero(held.sequences) == rest * 29 // 100
    assert not (held.mask & excluded).any()
    assert not (held.sequences & held.families).any()
    other = hold_out(pool.hashes, excluded, 0.29, ["family 3", "family 7"], (codes, names), 1)
    assert not np.array_equal(held.sequences, other.sequences)


def test_a_share_that_is_not_zero_holds_something_out() -> None:
    hashes = np.arange(1, 91, dtype=np.uint64)
    nothing = np.zeros(90, bool)
    assert hold_out(hashes, nothing, 0.01, [], None, 0).sequences.sum() == 1
    assert hold_out(hashes, nothing, 0, [], None, 0).sequences.sum() == 0


def test_a_family_of_which_nothing_is_left_is_named() -> None:
    pool = make_pool()
    codes = pool.groups["label"]
    names = [f"family {code}" for code in range(12)]
    with pytest.raises(InputError, match="nothing is left to measure losses on: family 7"):
        hold_out(pool.hashes, codes == 7, 0, ["family 3", "family 7"], (codes, names), 0)


def test_an_unknown_held_out_family_is_named() -> None:
    pool = make_pool()
    with pytest.raises(InputError, match="labelled with: tRNAs"):
        hold_out(pool.hashes, np.zeros(SIZE, bool), 0, ["tRNAs"], (pool.groups["label"], ["tRNA"]), 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lengths": np.ones(3, np.int64)}, "400 hashes but 3 values of lengths"),
        ({"hashes": np.zeros(SIZE, np.uint64)}, "399 of 400 sequence hashes"),
        ({"excluded": np.ones(SIZE, bool)}, "nothing is left"),
    ],
)
def test_a_pool_that_cannot_be_drawn_from_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_pool(**changes)


def test_a_grouping_that_the_pool_lacks_is_refused() -> None:
    arm = Arm(ArmKind.MIXTURE_MATCHED, of=TOP, grouping="colour")
    with pytest.raises(InputError, match=r'no grouping "colour".*cluster, label, source'):
        draw(arm, 20, make_pool(), 0)
