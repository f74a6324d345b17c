"""The questions whether scores can be trusted are drawn with their answers, whatever the run has."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

BARE: dict[str, Any] = {"convergence": {"verdict": "rose", "sentence": "It rose."}}
FULL: dict[str, Any] = {
    "convergence": {"verdict": "adapted", "sentence": "It adapted."},
    "fisher": {"largest_input_feature_share": 0.9, "share_below_damping": 0.1, "input_features": 4},
    "rank_correlations": {
        "tokens": -0.6,
        "loss": 0.1,
        "gradient_norm": None,
        "rows": 9,
        "length_adjusted": None,
    },
    "diagnostics": {
        "agreement": {
            "verdict": "large-enough",
            "sentence": "The subset is large enough.",
            "rank_correlation": 0.99,
            "top_overlap": 0.95,
            "subset": 50,
            "sample": 40,
        },
        "curvature": {
            "rows": [{"form": "kronecker", "damping": 1e-3, "rank_correlation": 0.9}],
            "damping": 1e-3,
            "mean_diagonal": 1e-3,
            "parameters": 99_999,
            "members": 50,
            "sample": 40,
            "full": False,
        },
    },
}


def page(manifest: dict) -> None:
    from app.trust_view import trust_view

    trust_view(manifest)


@pytest.mark.parametrize(("manifest", "counts"), [(BARE, (0, 0, 4)), (FULL, (3, 1, 0))], ids=["bare", "full"])
def test_every_question_is_answered(manifest: dict[str, Any], counts: tuple[int, int, int]) -> None:
    drawn = AppTest.from_function(page, kwargs={"manifest": manifest}).run(timeout=60)
    assert not drawn.exception
    assert drawn.header[0].value == "Can these scores be trusted?"
    assert (len(drawn.success), len(drawn.warning), len(drawn.info)) == counts
