from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bioprune_core.models import MaskedLanguageModel, load_model
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import Convergence, TrainingConfig, Verdict, fine_tune_subset

Maker = Callable[..., MaskedLanguageModel]
CONFIG = TrainingConfig(steps=60, token_budget=512, learning_rate=1e-2, checkpoint_every_steps=10)


@pytest.fixture
def subset(block: SequenceBlock) -> SequenceBlock:
    return block.take(np.arange(45))


@pytest.fixture
def held_out(block: SequenceBlock) -> SequenceBlock:
    return block.take(np.arange(45, 60))


def test_evidence_of_a_fine_tuning_that_learns(
    make_model: Maker, subset: SequenceBlock, held_out: SequenceBlock, tmp_path: Path
) -> None:
    model = make_model()
    stages: list[str] = []
    evidence = fine_tune_subset(
        model, subset, held_out, CONFIG, tmp_path, lambda progress: stages.append(progress.stage)
    )
    assert evidence.verdict is Verdict.ADAPTED, evidence.sentence
    assert evidence.subset.sequences == 45
    assert evidence.held_out is not None
    assert evidence.held_out.after < evidence.held_out.before
    assert evidence.mean_gradient_after < evidence.mean_gradient_before
    assert len(evidence.loss_curve) == 60
    assert list(dict.fromkeys(stages)) == ["measure-before", "fine-tune", "measure-after"]
    assert Convergence.read(tmp_path / "convergence.json") == evidence
    assert load_model(tmp_path / "network").content_hash == model.content_hash


def test_too_small_a_learning_rate_is_told(
    make_model: Maker, subset: SequenceBlock, held_out: SequenceBlock, tmp_path: Path
) -> None:
    config = TrainingConfig(steps=2, learning_rate=1e-9)
    evidence = fine_tune_subset(make_model(), subset, held_out, config, tmp_path)
    assert evidence.verdict in (Verdict.UNCHANGED, Verdict.COMPOSITION_ONLY)
    assert not evidence.converged


def test_zero_epochs_leave_the_model_as_it_is_and_say_so(
    make_model: Maker, subset: SequenceBlock, held_out: SequenceBlock, tmp_path: Path
) -> None:
    model = make_model()
    given = model.content_hash
    stages: list[str] = []
    evidence = fine_tune_subset(
        model,
        subset,
        held_out,
        TrainingConfig(epochs=0),
        tmp_path,
        lambda progress: stages.append(progress.stage),
    )
    assert "measure-before" in stages
    assert "measure-after" not in stages
    assert evidence.verdict is Verdict.NOT_TUNED
    assert not evidence.converged
    assert (evidence.loss_curve, evidence.subset.change) == ([], 0)
    assert load_model(tmp_path / "network").content_hash == model.content_hash == given
    assert fine_tune_subset(make_model(), subset, held_out, TrainingConfig(epochs=0), tmp_path) == evidence


@pytest.mark.parametrize(
    ("stage", "done"), [("measure-before", 45), ("fine-tune", 25), ("measure-after", 45)]
)
def test_interrupted_anywhere_the_evidence_is_the_same(
    make_model: Maker,
    subset: SequenceBlock,
    held_out: SequenceBlock,
    tmp_path: Path,
    stage: str,
    done: int,
) -> None:
    def interrupt(progress: Progress) -> None:
        if (progress.stage, progress.done) == (stage, done):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune_subset(make_model(), subset, held_out, CONFIG, tmp_path / "broken", interrupt)
    broken = fine_tune_subset(make_model(), subset, held_out, CONFIG, tmp_path / "broken")
    whole = fine_tune_subset(make_model(), subset, held_out, CONFIG, tmp_path / "whole")
    assert broken == whole


def test_a_finished_fine_tuning_returns_at_once_with_the_adapted_model(
    make_model: Maker, subset: SequenceBlock, held_out: SequenceBlock, tmp_path: Path
) -> None:
    model, again = make_model(), make_model()
    evidence = fine_tune_subset(model, subset, held_out, CONFIG, tmp_path)
    reports: list[Progress] = []
    assert fine_tune_subset(again, subset, held_out, CONFIG, tmp_path, reports.append) == evidence
    assert reports == []
    assert again.content_hash == model.content_hash


def test_a_pool_no_larger_than_the_subset_has_no_held_out_slice(
    make_model: Maker, subset: SequenceBlock, tmp_path: Path
) -> None:
    nothing = subset.take(np.array([], dtype=np.int64))
    evidence = fine_tune_subset(make_model(), subset, nothing, CONFIG, tmp_path)
    assert evidence.held_out is None
    assert "held-out" not in evidence.sentence
