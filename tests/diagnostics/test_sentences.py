"""Every question gets an answer, whatever a manifest has and lacks, and bad figures are cautions."""

import subprocess
import sys
from typing import Any

import pytest

from bioprune_core.diagnostics import Level, trust_sentences


def manifest(**changes: Any) -> dict[str, Any]:
    rows = [
        {"form": form, "damping": damping, "rank_correlation": 0.9}
        for form in ("full", "kronecker")
        for damping in (1e-8, 1e-3)
    ]
    return {
        "convergence": {"verdict": "adapted", "sentence": "The model adapted to the subset."},
        "influence": {"damping": 1e-8},
        "fisher": {
            "parameters": 16_384,
            "input_features": 128,
            "total": 1.0,
            "largest_input_feature_share": 0.1,
            "share_below_damping": 0.05,
        },
        "rank_correlations": {
            "tokens": -0.2,
            "loss": 0.1,
            "gradient_norm": 0.4,
            "rows": 100,
            "length_adjusted": {"influence": 0.9, "tokens": 0.0, "loss": 0.1, "gradient_norm": 0.3},
        },
        "diagnostics": {
            "agreement": {
                "verdict": "large-enough",
                "sentence": "The subset is large enough.",
                "rank_correlation": 0.99,
                "top_overlap": 0.95,
                "subset": 2_000,
                "sample": 2_000,
            },
            "curvature": {
                "rows": rows,
                "damping": 1e-8,
                "mean_diagonal": 1e-3,
                "parameters": 16_384,
                "members": 1_000,
                "sample": 300,
                "full": True,
            },
        },
    } | changes


def levels(value: dict[str, Any]) -> list[Level]:
    return [finding.level for finding in trust_sentences(value)]


def test_good_figures_speak_for_the_scores() -> None:
    assert levels(manifest()) == [Level.GOOD] * 5
    for finding in trust_sentences(manifest()):
        assert finding.question.endswith("?") and finding.sentence.endswith(".")


def test_what_a_run_lacks_is_told_as_unknown() -> None:
    bare = {"convergence": {"verdict": "rose", "sentence": "It rose."}}
    assert levels(bare) == [Level.CAUTION] + [Level.UNKNOWN] * 4
    reason = {"reason": "Not computed: it was switched off."}
    assert [finding.sentence for finding in trust_sentences(manifest(diagnostics=reason))][1::3] == [
        reason["reason"],
        reason["reason"],
    ]


@pytest.mark.parametrize(
    ("place", "changes", "words"),
    [
        (
            2,
            {"rank_correlations": {"tokens": -0.7, "loss": 0.1, "gradient_norm": 0.2}},
            "Much of it is length",
        ),
        (
            2,
            {"rank_correlations": {"tokens": 0.1, "loss": None, "gradient_norm": 0.97}},
            "nearly the same order",
        ),
        (3, {"fisher": {"largest_input_feature_share": 0.1, "share_below_damping": 0.8}}, "smaller damping"),
    ],
)
def test_bad_figures_are_cautions(place: int, changes: dict[str, Any], words: str) -> None:
    found = trust_sentences(manifest(**changes))
    assert [finding.level for finding in found] == [
        Level.CAUTION if row == place else Level.GOOD for row in range(5)
    ]
    assert words in found[place].sentence


def test_one_large_input_feature_is_told_but_speaks_against_nothing() -> None:
    fisher = {"largest_input_feature_share": 0.9, "share_below_damping": 0.1, "input_features": 128}
    found = trust_sentences(manifest(fisher=fisher))[3]
    assert found.level is Level.GOOD
    assert "holds 90% of it (evenly spread it would be 0.8%)" in found.sentence


def test_a_large_head_has_no_full_form_and_says_so() -> None:
    value = manifest()
    curvature = value["diagnostics"]["curvature"]
    curvature |= {"full": False, "parameters": 409_600, "rows": curvature["rows"][2:]}
    found = trust_sentences(value)[4]
    assert "409,600 parameters the full form is not computed" in found.sentence
    curvature["rows"][1]["rank_correlation"] = 0.3
    assert trust_sentences(value)[4].level is Level.CAUTION


def test_sentences_need_no_torch() -> None:
    code = (
        "import sys\nfrom bioprune_core.diagnostics import DiagnosticsConfig, trust_sentences\n"
        "from bioprune_core.validation import ValidationConfig\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
