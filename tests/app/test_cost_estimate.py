"""An estimate is a measurement scaled, and nothing where nothing was measured."""

from pathlib import Path

import pytest

from app.cost_estimate import Measured, estimate, measurement_of

MEASURED = Measured(
    run="first",
    device="cpu",
    score_s=100.0,
    tokens=120_000,
    sequences=1_000,
    tune_s=40.0,
    tuned=200.0,
    map_s=10.0,
    bytes=5_000_000,
)


def test_same_run_again_takes_what_it_took() -> None:
    again = estimate(MEASURED, sequences=1_000, letters=118_000, subset=200, epochs=1.0)
    # Scores, the Fisher pass over a fifth of the pool, fine-tuning, map.
    assert again.seconds == pytest.approx(100 + 20 + 40 + 10)
    assert again.bytes == 5_000_000


def test_time_grows_with_letters_and_epochs() -> None:
    base = estimate(MEASURED, sequences=1_000, letters=118_000, subset=200, epochs=1.0).seconds
    longer = estimate(MEASURED, sequences=1_000, letters=238_000, subset=200, epochs=1.0).seconds
    assert longer == pytest.approx(2 * (base - 10) + 10)
    twice = estimate(MEASURED, sequences=1_000, letters=118_000, subset=200, epochs=2.0).seconds
    assert twice == pytest.approx(base + 40)


def _manifest(attempts: int) -> dict[str, object]:
    stages = [{"stage": name, "seconds": 5.0, "attempts": attempts} for name in ("fine-tune", "score", "map")]
    return {
        "stages": stages,
        "counts": {"tokens": 10, "sequences": 2},
        "config": {"subset_size": 2},
        "training": {"epochs": 1.0},
        "hardware": {"device": "cpu"},
    }


def test_interrupted_run_is_no_measurement(tmp_path: Path) -> None:
    assert measurement_of("run", _manifest(2), tmp_path) is None
    assert measurement_of("run", {}, tmp_path) is None
    found = measurement_of("run", _manifest(1), tmp_path)
    assert found is not None
    assert found.score_s == 5.0
