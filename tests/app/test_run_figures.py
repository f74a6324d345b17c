"""The key figures of a finished run."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

MANIFEST: dict[str, Any] = {
    "counts": {"sequences": 1_000, "reused": 0, "truncated": 0},
    "subset": {"sequences": 50},
    "seconds": 20.0,
    "stages": [{"stage": "score", "seconds": 10.0}],
    "rank_correlations": {"tokens": -0.5, "loss": None},
}


def page(manifest: dict) -> None:
    from app.run_views import _figures

    _figures(manifest)


@pytest.mark.parametrize(("busy", "shown"), [(0.974, True), (None, False)])
def test_it_says_how_busy_the_device_was_where_that_is_known(busy: float | None, shown: bool) -> None:
    """Not of runs that found their shards, nor of those of earlier versions."""
    counts = MANIFEST["counts"] | ({} if busy is None else {"device_busy": busy})
    drawn = AppTest.from_function(page, kwargs={"manifest": MANIFEST | {"counts": counts}}).run(timeout=60)
    assert not drawn.exception
    (figures,) = (element.proto.body for element in drawn.get("html"))
    assert ("Device busy" in figures) is shown
    assert ("97.4 %" in figures) is shown
    assert "Scoring rate" in figures
