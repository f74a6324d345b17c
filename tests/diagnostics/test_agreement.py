"""Two subsets that agree are called large enough, two that do not too small."""

import numpy as np
import pytest

from bioprune_core.diagnostics import (
    AgreementVerdict,
    DiagnosticsConfig,
    compare_influences,
    diagnostics_share,
)
from bioprune_core.errors import InputError


@pytest.mark.parametrize(
    ("noise", "verdict"),
    [
        (0.0, AgreementVerdict.LARGE_ENOUGH),
        (0.4, AgreementVerdict.ROUGH),
        (3.0, AgreementVerdict.TOO_SMALL),
    ],
)
def test_the_verdict_follows_the_figures(noise: float, verdict: AgreementVerdict) -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=2_000)
    found = compare_influences(np.exp(first), np.exp(first + noise * random.normal(size=2_000)), 500)
    assert found.verdict is verdict
    assert (found.subset, found.sample) == (500, 2_000)
    assert "500" in found.sentence and found.sentence.endswith(".")


def test_the_order_of_the_two_does_not_matter_for_the_figures() -> None:
    random = np.random.default_rng(1)
    left, right = random.normal(size=(2, 300))
    one, other = compare_influences(left, right, 9), compare_influences(right, left, 9)
    assert one.rank_correlation == pytest.approx(other.rank_correlation)
    assert one.top_overlap == other.top_overlap


def test_constant_influence_is_no_agreement() -> None:
    assert compare_influences(np.ones(5), np.ones(5), 3).verdict is AgreementVerdict.TOO_SMALL


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        compare_influences(np.ones(0), np.ones(0), 3)


def test_settings_go_there_and_back_and_wrong_ones_are_refused() -> None:
    config = DiagnosticsConfig(enabled=False, sample_size=10)
    assert DiagnosticsConfig.from_json(config.to_json()) == config
    for wrong in ({"curvature_members": 2_001}, {"sample_size": -1}, {"enabled": 1}, {"size": 3}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            DiagnosticsConfig.from_json(wrong)


def test_the_share_falls_with_the_pool_and_is_nothing_for_nothing() -> None:
    config = DiagnosticsConfig()
    shares = [diagnostics_share(config, pool, 2_000, 256, 1.0) for pool in (10_000, 100_000, 1_000_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.1 > shares[1]
    nothing = DiagnosticsConfig(sample_size=0, curvature_sample=0)
    assert diagnostics_share(nothing, 10_000, 2_000, 256, 1.0) == 0
    # A pool without room for a second subset pays for none.
    assert diagnostics_share(DiagnosticsConfig(curvature_sample=0), 3_000, 2_000, 256, 1.0) == 0
