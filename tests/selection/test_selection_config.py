"""Rates are exact, bounds are refused with value, bound and remedy, JSON goes there and back."""

from decimal import Decimal

import numpy as np
import pytest

from bioprune_core.errors import SelectionError
from bioprune_core.selection import SelectionConfig, StrataKind, Strategy


@pytest.mark.parametrize(
    ("rate", "pool", "size"),
    [
        (0.29, 10_000, 9_971),
        (29, 100, 71),
        (np.float32(0.1), 1_000, 999),
        (np.float64(57.3), 1_000, 427),
        ("33.333", 100_000, 66_667),
        (Decimal("99.99999"), 23_000_000, 3),
        (Decimal("99.9999999999999999999999999999999"), 10**6, 1),
        (0, 7, 7),
        (99.9, 1, 1),
    ],
)
def test_the_size_is_exact_whatever_the_rate_is_given_as(rate: object, pool: int, size: int) -> None:
    config = SelectionConfig(Strategy.TOP_INFLUENCE, rate)  # type: ignore[arg-type]
    assert config.coreset_size(pool) == size


def test_binary_rounding_never_slips_in() -> None:
    for hundredths in range(10_000):
        rate = hundredths / 100
        assert SelectionConfig(Strategy.RANDOM, rate).coreset_size(10_000) == 10_000 - hundredths  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prune_rate": 100}, ["prune rate", "100", "less than 100"]),
        ({"prune_rate": -1}, ["prune rate", "-1", "at least 0"]),
        ({"prune_rate": float("nan")}, ["prune rate", "nan", "percentage"]),
        ({"prune_rate": "many"}, ["prune rate", "many"]),
        ({"prune_rate": True}, ["prune rate", "True"]),
        ({"prune_rate": None}, ["prune rate", "None"]),
        ({"hardest_cut": 100}, ["hardest cut", "100"]),
        ({"hardest_cut": "-0.5"}, ["hardest cut", "-0.5"]),
        ({"strata": 0}, ["strata", "0", "10,000"]),
        ({"strata": 10_001}, ["strata", "10001", "10,000"]),
        ({"strata": 2.5}, ["strata", "2.5", "whole"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"seed": "x"}, ["seed", "'x'"]),
        ({"strategy": "best"}, ["strategy", "best", "coverage_centric"]),
        ({"strata_kind": "even"}, ["strata kind", "even", "equal-width"]),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_value_bound_and_remedy(
    change: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(SelectionError) as refusal:
        SelectionConfig(**change)  # type: ignore[arg-type]
    for word in words:
        assert word in refusal.value.message


def test_a_cut_that_leaves_too_few_names_both_rates() -> None:
    with pytest.raises(SelectionError) as refusal:
        SelectionConfig(prune_rate=Decimal(20), hardest_cut=Decimal("20.1"))
    for word in ("20 %", "20.1 %", "80 %", "100.1 %", "100 %"):
        assert word in refusal.value.message
    assert SelectionConfig(prune_rate=Decimal(20), hardest_cut=Decimal(20)).removed(1_000) == 200


def test_the_cut_concerns_coverage_centric_alone() -> None:
    config = SelectionConfig("top_influence", 2, 5)  # type: ignore[arg-type]
    assert config.removed(1_000) == 0


def test_json_goes_there_and_back_and_one_number_has_one_text() -> None:
    config = SelectionConfig(Strategy.RANDOM, "90.50", 5.0, 7, StrataKind.QUANTILE, 3)  # type: ignore[arg-type]
    value = config.to_json()
    assert value == {
        "strategy": "random",
        "prune_rate": "90.5",
        "hardest_cut": "5",
        "strata": 7,
        "strata_kind": "quantile",
        "seed": 3,
        "measure": "influence",
    }
    assert SelectionConfig.from_json(value) == config
    with pytest.raises(SelectionError, match="alpha"):
        SelectionConfig.from_json({"alpha": 90})
