"""Controls that draw at random what a selection has of each group: source, label, cluster, length."""

from dataclasses import replace

import numpy as np
import pytest
from planned_trial import SIZE, configured, make_pool

from bioprune_core.errors import InputError
from bioprune_core.experiments import (
    Arm,
    ArmKind,
    describe_draw,
    draw,
    refuse_what_cannot_be_drawn,
)
from bioprune_core.experiments.pool import length_groups

TOP = Arm(ArmKind.TOP_INFLUENCE)
CCI = Arm(ArmKind.COVERAGE_CENTRIC, strata=5)


@pytest.mark.parametrize("grouping", ["source", "label", "cluster"])
@pytest.mark.parametrize("of", [TOP, CCI], ids=lambda arm: arm.name)
def test_a_matched_random_draw_has_the_mixture_exactly(of: Arm, grouping: str) -> None:
    pool = make_pool()
    matched = Arm(ArmKind.MIXTURE_MATCHED, of=of, grouping=grouping)
    codes = pool.groups[grouping]
    mine, theirs = draw(matched, 60, pool, 9), draw(of, 60, pool, 9)
    assert sorted(codes[mine].tolist()) == sorted(codes[theirs].tolist())
    assert not np.array_equal(mine, theirs)


def test_a_draw_of_the_lengths_of_an_arm_has_them_within_a_twentieth_and_other_sequences() -> None:
    pool = make_pool()
    # Sequences of one length are many, of the most influential too.
    pool = make_pool(influence=pool.lengths + np.random.default_rng(1).exponential(60, SIZE))
    pool = replace(pool, groups={"length": length_groups(pool.lengths)})
    control = Arm(ArmKind.MIXTURE_MATCHED, of=TOP, grouping="length")
    drawn, matched = draw(TOP, 40, pool, 0), draw(control, 40, pool, 0)
    ratios = np.sort(pool.lengths[matched]) / np.sort(pool.lengths[drawn])
    assert (ratios > 1 / 1.05).all() and (ratios < 1.05).all()
    assert len(np.intersect1d(drawn, matched)) < 40
    random = draw(Arm(ArmKind.RANDOM), 40, pool, 0)
    assert pool.lengths[random].mean() < 0.9 * pool.lengths[matched].mean()


def test_two_groupings_are_matched_at_once() -> None:
    pool = make_pool()
    source, lengths = pool.codes("source"), length_groups(pool.lengths)
    pool = replace(pool, groups={**pool.groups, "length": lengths})
    control = Arm(ArmKind.MIXTURE_MATCHED, of=TOP, grouping="source+length")
    drawn, matched = draw(TOP, 40, pool, 0), draw(control, 40, pool, 0)
    pairs = [sorted(zip(source[each], lengths[each], strict=True)) for each in (drawn, matched)]
    assert pairs[0] == pairs[1]
    assert len(np.intersect1d(drawn, matched)) < 40
    assert describe_draw(matched, pool, "source+length").mixture_distance == pytest.approx(
        describe_draw(drawn, pool, "source+length").mixture_distance
    )


def test_groupings_that_are_joined_are_looked_for_one_by_one() -> None:
    config = configured(arms=[{"kind": "top-influence"}], mixtures=["source", "source+cluster"])
    assert config.groupings == ("source", "cluster")
    with pytest.raises(InputError, match='no grouping "organism"; it has: cluster, label, source'):
        refuse_what_cannot_be_drawn(configured(mixtures=["source+organism"]), make_pool())


def test_groups_of_lengths_hold_less_than_a_twentieth_and_do_not_depend_on_the_pool() -> None:
    lengths = np.arange(1, 3000)
    codes = length_groups(lengths)
    assert (np.diff(codes) >= 0).all()
    for code in np.unique(codes):
        group = lengths[codes == code]
        assert group.max() < 1.05 * group.min()
    assert (length_groups(lengths[::-7]) == codes[::-7]).all()


def test_the_mixture_of_an_arm_with_one_per_group_is_matched_among_the_same_sequences() -> None:
    pool = make_pool()
    arm = Arm(ArmKind.TOP_INFLUENCE, one_per="cluster")
    *_, by_source, by_cluster = configured(arms=[arm.to_json()], mixtures=["source", "cluster"]).all_arms
    assert by_source.one_per == "cluster" and by_cluster.one_per == ""
    clusters, sources = pool.codes("cluster"), pool.codes("source")
    drawn, control = draw(arm, 20, pool, 4), draw(by_source, 20, pool, 4)
    assert sorted(sources[drawn]) == sorted(sources[control])
    assert len(set(clusters[control].tolist())) == 20
    assert sorted(clusters[draw(by_cluster, 20, pool, 4)]) == sorted(clusters[drawn])


@pytest.mark.parametrize("mixture", ["cluster", "source+cluster", "cluster+source"])
def test_a_mixture_of_what_an_arm_has_one_of_each_is_matched_by_other_members(mixture: str) -> None:
    pool = make_pool()
    # Clusters of four, of one source each, so that there are other members.
    clusters = np.arange(SIZE) // 4
    pool = replace(pool, groups={"cluster": clusters, "source": clusters % 3})
    arm = Arm(ArmKind.TOP_INFLUENCE, one_per="cluster")
    *_, control = configured(arms=[arm.to_json()], mixtures=[mixture]).all_arms
    drawn, matched = draw(arm, 30, pool, 4), draw(control, 30, pool, 4)
    assert sorted(clusters[matched]) == sorted(clusters[drawn])
    assert len(np.intersect1d(drawn, matched)) < 20


def test_a_mixture_is_not_matched_among_fewer_than_it_was_drawn_from() -> None:
    of = {"kind": "top-influence", "one_per": "cluster"}
    matched = {"kind": "mixture-matched", "grouping": "source", "of": of}
    assert configured(arms=[matched]).groupings == ("source", "cluster")
    with pytest.raises(InputError, match=r"'label', but .* has 'cluster'"):
        Arm.from_json(matched | {"one_per": "label"})


def test_every_selection_has_a_random_draw_of_each_of_its_mixtures() -> None:
    config = configured(
        arms=[{"kind": "top-influence"}, {"kind": "saved", "coreset": "mine"}, {"kind": "full"}],
        mixtures=["source", "label"],
    )
    matched = {(arm.of.name, arm.grouping) for arm in config.all_arms if arm.of is not None}
    assert matched == {
        (name, grouping) for name in ("top-influence", "mine") for grouping in ("source", "label")
    }
