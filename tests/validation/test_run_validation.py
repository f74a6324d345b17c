"""A small validation, to its end, interrupted, and refused where it does not fit its folder."""

from pathlib import Path

import numpy as np
import pytest

from bioprune_core.errors import ConflictError, InputError
from bioprune_core.hashing import mix_words
from bioprune_core.progress import Progress
from bioprune_core.sequences import Pool, ingest
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.validation import ValidationConfig, run_validation
from bioprune_core.validation.run import _first_usable

SMALL = ValidationConfig(
    models=4, sequences=20, group_size=5, base_steps=2, steps=2, token_budget=512, resamples=20
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "pool.fa"
    letters = ("".join(random.choice(list("ACGU"), random.integers(20, 40))) for _ in range(50))
    path.write_text("".join(f">s{row}\n{sequence}\n" for row, sequence in enumerate(letters)))
    return path


def test_an_interrupted_validation_goes_on_to_the_same_report(source: Path, tmp_path: Path) -> None:
    whole = run_validation(source, tmp_path / "whole", SMALL)

    class Stop(Exception):
        pass

    def stop_in_the_second_model(progress: Progress) -> None:
        if progress.stage == "model-0001":
            raise Stop

    with pytest.raises(Stop):
        run_validation(source, tmp_path / "broken", SMALL, report=stop_in_the_second_model)
    trained: set[str] = set()
    again = run_validation(source, tmp_path / "broken", SMALL, report=lambda seen: trained.add(seen.stage))
    assert again == whole
    assert "model-0000" not in trained and "model-0002" in trained
    assert (tmp_path / "broken" / "report.md").read_bytes() == (tmp_path / "whole" / "report.md").read_bytes()
    assert not list((tmp_path / "broken" / "training").glob("*"))
    assert set(whole["memorisation"]) == {"masked", "unmasked"}
    names = {
        "influence",
        "masked loss",
        "unmasked loss",
        "gradient norm",
        "length",
        "length-adjusted influence",
    }
    assert names <= set(whole["memorisation"]["masked"]["scores"])
    with pytest.raises(ConflictError, match="other settings"):
        other = ValidationConfig.from_json(SMALL.to_json() | {"seed": 1})
        run_validation(source, tmp_path / "whole", other)
    more = ValidationConfig.from_json(SMALL.to_json() | {"models": 5})
    assert run_validation(source, tmp_path / "whole", more)["models"] == 5


def test_a_file_with_too_few_sequences_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most 25"):
        run_validation(source, tmp_path / "out", ValidationConfig(models=4, sequences=26, group_size=5))


def test_only_the_sequences_that_are_drawn_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And they are the first by a mix of hash and seed of those with something to predict."""
    random = np.random.default_rng(1)
    letters = ["".join(random.choice(list("ACGU"), 30)) for _ in range(200)]
    letters += ["N" * (20 + row) for row in range(60)]
    random.shuffle(letters)
    (tmp_path / "pool.fa").write_text("".join(f">s{row}\n{text}\n" for row, text in enumerate(letters)))
    ingest(tmp_path / "pool.fa", tmp_path / "pool")
    pool = Pool.open(tmp_path / "pool")
    everything = pool.read(0, len(pool))
    usable = [row for row in range(len(pool)) if set(everything.sequence(row)) != {"N"}]
    keys = mix_words(everything.hashes ^ np.uint64(7))
    expected = sorted(usable, key=lambda row: int(keys[row]))
    read: list[int] = []
    take = Pool.take

    def noted(self: Pool, positions: np.ndarray) -> SequenceBlock:
        read.append(len(positions))
        return take(self, positions)

    monkeypatch.setattr(Pool, "take", noted)
    assert _first_usable(pool, 30, 7).tolist() == expected[:30]
    assert max(read) == 30 and sum(read) < len(pool) / 2
    assert _first_usable(pool, 1_000, 7).tolist() == expected


def test_settings_out_of_bounds_are_refused() -> None:
    for wrong in (
        {"models": 3},
        {"keep_share": 1.0},
        {"group_size": 300},
        {"learning_rate": 0.0},
        {"size": 1},
    ):
        with pytest.raises(InputError, match=next(iter(wrong))):
            ValidationConfig.from_json(wrong)
    assert ValidationConfig.from_json(SMALL.to_json()) == SMALL


def test_models_that_cannot_be_made_are_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"choose one of rna-fm, esm-2, esm-c\."):
        ValidationConfig(architecture="esm2")
    with pytest.raises(InputError, match="choose one of tiny, small, base, full"):
        ValidationConfig(scale="huge")
