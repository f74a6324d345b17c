"""Borders, budgets and the sentences about them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bioprune_core.errors import SelectionError
from bioprune_core.selection import SelectionConfig, StrataKind, Strategy, select_with_rule
from bioprune_core.selection.strata import allocate, equal_width, log_width

FINITE = st.floats(-1e300, 1e300)


@given(FINITE, FINITE, st.integers(1, 200), st.lists(st.floats(0, 1), max_size=30))
def test_arithmetic_and_edges_agree_to_the_last_bit(
    one: float, other: float, count: int, places: list[float]
) -> None:
    low, high = sorted([one, other])
    strata = equal_width(low, high, count)
    inner = strata.edges[1:-1]
    inside = [low + (high - low) * place for place in places] if high > low else [low]
    values = np.concatenate([inside, inner, np.nextafter(inner, -np.inf), [low, high]])
    values = np.clip(values, low, high)
    assert strata.assign(values).tolist() == np.searchsorted(inner, values, side="right").tolist()
    assert strata.edges[0] == low and strata.edges[-1] == high


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 500))
def test_strata_are_equally_wide(low: float, span: float, count: int) -> None:
    strata = equal_width(low, low + span, count)
    assert len(strata) == count
    assert np.allclose(np.diff(strata.edges), span / count, rtol=1e-6, atol=1e-9)


def test_equal_scores_make_one_stratum() -> None:
    assert len(equal_width(3.0, 3.0, 50)) == 1
    positions, rule = select_with_rule(np.full(100, 2.5), SelectionConfig(seed=4))
    assert len(positions) == 10
    [stratum] = rule.occupancy.summary.strata
    assert (stratum.low, stratum.high, stratum.count, stratum.budget) == (2.5, 2.5, 100, 10)


def test_the_last_stratum_is_closed() -> None:
    strata = equal_width(0.0, 1.0, 4)
    assert strata.assign(np.array([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == [0, 1, 2, 3, 3]


def test_a_range_beyond_a_float_is_refused() -> None:
    with pytest.raises(SelectionError, match="Rescale"):
        equal_width(-1.7e308, 1.7e308, 50)


def test_log_strata_put_zeros_first_and_refuse_negative_scores() -> None:
    strata = log_width(0.0, 1.0, 10_000.0, 4)
    assert strata.assign(np.array([0.0, 1.0, 9.0, 11.0, 999.0, 1_001.0, 1e4])).tolist() == [
        0,
        0,
        0,
        1,
        2,
        3,
        3,
    ]
    with pytest.raises(SelectionError, match=r"-0\.5.*equal-width"):
        log_width(-0.5, 1.0, 2.0, 4)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.data())
def test_budgets_fill_up_from_the_smallest_and_grow_one_by_one(
    counts: list[int], data: st.DataObject
) -> None:
    total = sum(counts)
    assume(total > 0)
    budget = data.draw(st.integers(0, total - 1))
    given_now, given_next = allocate(counts, budget), allocate(counts, budget + 1)
    assert given_now.sum() == budget
    assert np.all(given_now <= counts)
    assert sorted(given_next - given_now) == [0] * (len(counts) - 1) + [1]
    # Whoever gives less than it has, gives at least as much as (nearly) everybody: the budget is spread
    # evenly.
    for count, share in zip(counts, given_now, strict=True):
        assert share == count or share >= given_now.max() - 1


def test_budgets_by_hand() -> None:
    assert allocate([5, 100, 2, 0], 20).tolist() == [5, 13, 2, 0]
    assert allocate([5, 100, 2, 0], 4).tolist() == [1, 2, 1, 0]


def test_quantile_strata_hold_equal_counts_and_cum_sqrt_f_lies_between() -> None:
    random = np.random.default_rng(3)
    scores = np.exp(2 * random.standard_normal(40_000))
    shares = {}
    for kind in StrataKind:
        config = SelectionConfig(strata=20, strata_kind=kind)
        _, rule = select_with_rule(scores, config)
        shares[kind] = rule.occupancy.counts.max() / len(scores)
        assert len(rule.occupancy.counts) == 20
    assert shares[StrataKind.QUANTILE] < 0.051
    assert shares[StrataKind.QUANTILE] < shares[StrataKind.CUM_SQRT_F] < shares[StrataKind.EQUAL_WIDTH]


@pytest.mark.parametrize("kind", [StrataKind.QUANTILE, StrataKind.CUM_SQRT_F])
def test_thousands_of_adaptive_strata_follow_the_scores(kind: StrataKind) -> None:
    # 6,000 strata have more than 65,536 fine bins: more than a 16-bit number tells apart.
    scores = np.exp(np.random.default_rng(3).standard_normal(100_000))
    _, rule = select_with_rule(scores, SelectionConfig(strata=6_000, strata_kind=kind))
    counts = rule.occupancy.counts
    assert counts.sum() == len(scores)
    assert counts.max() < {StrataKind.QUANTILE: 20, StrataKind.CUM_SQRT_F: 60}[kind]
    borders = rule.occupancy.strata.edges[1:-1]
    places = np.searchsorted(borders, scores, side="right")
    assert counts.tolist() == np.bincount(places, minlength=len(counts)).tolist()


def test_coverage_takes_more_from_sparse_strata_than_chance_does() -> None:
    random = np.random.default_rng(3)
    scores = random.standard_gamma(0.7, 20_000)
    central = SelectionConfig(prune_rate=90, hardest_cut=1, strata=20)  # type: ignore[arg-type]
    positions, rule = select_with_rule(scores, central)
    chance, _ = select_with_rule(scores, SelectionConfig(Strategy.RANDOM, 90))  # type: ignore[arg-type]
    threshold = rule.occupancy.strata.edges[10]
    assert np.mean(scores[positions] > threshold) > 2 * np.mean(scores[chance] > threshold)


def test_warnings_say_what_is_wrong_and_what_to_do() -> None:
    random = np.random.default_rng(0)
    heavy = np.concatenate([random.random(10_000), [1e6]])
    _, rule = select_with_rule(heavy, SelectionConfig())
    empty, bulk = rule.occupancy.summary.warnings
    assert "48 of 50 strata are empty" in empty and "hardest cut" in empty
    assert "Stratum 1 of 50 gives 100% of the coreset" in bulk and "random" in bulk
    _, rule = select_with_rule(random.random(10_000), SelectionConfig())
    assert rule.occupancy.summary.warnings == []
    _, rule = select_with_rule(np.ones(10), SelectionConfig())
    assert len(rule.occupancy.summary.warnings) == 1
    assert "one stratum" in rule.occupancy.summary.warnings[0]


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (
            "equal-width",
            "Raise the hardest cut, lower the number of strata, or choose strata of equal width in log",
        ),
        (
            "log-width",
            "Raise the hardest cut, lower the number of strata, or choose strata by Dalenius and Hodges",
        ),
        ("cum-sqrt-f", "Raise the hardest cut or prune more."),
    ],
)
def test_warnings_advise_no_strata_that_are_in_use(kind: str, advice: str) -> None:
    scores = np.concatenate([np.full(5_000, 1.0), [10.0, 1e6]])
    _, rule = select_with_rule(scores, SelectionConfig(strata=40, strata_kind=kind))  # type: ignore[arg-type]
    assert any(advice in sentence for sentence in rule.occupancy.summary.warnings)


def test_warnings_of_strata_of_length_advise_no_hardest_cut() -> None:
    lengths = np.concatenate([np.full(5_000, 100.0), [9_000.0]])
    config = SelectionConfig(Strategy.LENGTH_STRATIFIED)
    _, rule = select_with_rule(np.ones(5_001), config, lengths=lengths)
    empty, bulk = rule.occupancy.summary.warnings
    assert "Lower the number of strata or choose strata of equal width in log" in empty
    assert "Prune more or choose strata of equal width in log" in bulk


def test_the_summary_tells_what_the_cut_removed() -> None:
    scores = np.arange(1_000, dtype=np.float64)
    _, rule = select_with_rule(scores, SelectionConfig(hardest_cut=5))  # type: ignore[arg-type]
    summary = rule.occupancy.summary
    assert (summary.pool_size, summary.coreset_size, summary.removed, summary.removed_from) == (
        1_000,
        100,
        50,
        950.0,
    )
    assert sum(stratum.count for stratum in summary.strata) == 950
    assert summary.strata[-1].high == 949.0
    assert summary.to_json()["strata"][0]["budget"] == summary.strata[0].budget
