"""Subset fine-tuning: the training loop between two measurements, and a verdict on whether it converged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import read_json, write_json
from bioprune_core.training.batches import Corpus
from bioprune_core.training.config import TrainingConfig
from bioprune_core.training.convergence import Convergence, PairedChange, judge
from bioprune_core.training.history import TrainingHistory
from bioprune_core.training.loop import train
from bioprune_core.training.measure import HeadGradient, Measurement, measure

__all__ = ["fine_tune_subset"]

_CONVERGENCE, _BEFORE = "convergence.json", "before.json"


def fine_tune_subset(
    model: MaskedLanguageModel,
    subset: SequenceBlock,
    held_out: SequenceBlock,
    config: TrainingConfig,
    directory: Path,
    report: Reporter = discard,
) -> Convergence:
    """Adapt a model to a subset and record whether it converged; calling again goes on where it broke off.

    Args:
        model: The backbone; it is the adapted model afterwards.
        subset: D_sub, the sequences to train on.
        held_out: Sequences of the pool outside the subset, to tell adaptation from learning by heart; may
            be empty.
        config: Schedule, masks and numerics; with 0 epochs the model is measured and left as it is, which is
            the ablation of the method's paper.
        directory: The fine-tuning's own. Afterwards it holds the adapted model under "network", the
            training's history, and `convergence.json`.
        report: Told of the stages "measure-before", "fine-tune" and, where there was a step, "measure-after".

    Returns:
        Losses and gradient norms before and after under the same fixed masks, the loss curve, the verdict.

    Raises:
        InputError, ConflictError, StageError, StorageError: As `train` does.

    Source: arXiv 2512.12932; design method, section 1.
    """
    if (directory / _CONVERGENCE).is_file():
        train(model, subset, config, directory, report, stage="fine-tune")
        return Convergence.read(directory / _CONVERGENCE)
    corpora = _corpora(model, subset, held_out)
    before = _measure_before(model, corpora, config, directory, report)
    history = train(model, subset, config, directory, report, stage="fine-tune")
    # Untouched weights measure the same again.
    after = _measure(model, corpora, config, report, "measure-after") if len(history.curve) else before
    convergence = _compare(before, after, history)
    convergence.write(directory / _CONVERGENCE)
    (directory / _BEFORE).unlink(missing_ok=True)
    return convergence


def _corpora(model: MaskedLanguageModel, subset: SequenceBlock, held_out: SequenceBlock) -> dict[str, Corpus]:
    corpora = {"subset": Corpus.of(subset, model, "subset")}
    if len(held_out):
        corpora["held_out"] = Corpus.of(held_out, model, "held-out slice")
    return corpora


def _measure(
    model: MaskedLanguageModel,
    corpora: dict[str, Corpus],
    config: TrainingConfig,
    report: Reporter,
    stage: str,
) -> dict[str, Measurement]:
    total = sum(len(corpus) for corpus in corpora.values())
    measurements: dict[str, Measurement] = {}
    done = 0
    for name, corpus in corpora.items():
        advance = _advance(report, stage, done, total)
        measurements[name] = measure(model, corpus, config, gradient=name == "subset", advance=advance)
        done += len(corpus)
    return measurements


def _advance(report: Reporter, stage: str, base: int, total: int) -> Callable[[int], None]:
    return lambda done: report(Progress(stage, base + done, total, "sequences"))


def _measure_before(
    model: MaskedLanguageModel,
    corpora: dict[str, Corpus],
    config: TrainingConfig,
    directory: Path,
    report: Reporter,
) -> dict[str, Measurement]:
    # Kept until the verdict: once training has begun it cannot be measured without the original weights.
    path = directory / _BEFORE
    if path.is_file():
        return {name: _from_json(value) for name, value in read_json(path).items()}
    before = _measure(model, corpora, config, report, "measure-before")
    write_json(path, {name: _to_json(measurement) for name, measurement in before.items()})
    return before


def _compare(
    before: dict[str, Measurement], after: dict[str, Measurement], history: TrainingHistory
) -> Convergence:
    changes = {
        name: PairedChange.of(before[name].losses, after[name].losses, after[name].targets) for name in after
    }
    subset, held_out = changes["subset"], changes.get("held_out")
    entropy = after["subset"].composition_entropy
    verdict, sentence = judge(subset, held_out, entropy, history.curve.loss)
    gradients = [before["subset"].gradient, after["subset"].gradient]
    first, last = (gradient for gradient in gradients if gradient is not None)
    return Convergence(
        verdict=verdict,
        sentence=sentence,
        subset=subset,
        held_out=held_out,
        composition_entropy=entropy,
        gradient_norm_before=first.mean_of_norms,
        gradient_norm_after=last.mean_of_norms,
        mean_gradient_before=first.norm_of_mean,
        mean_gradient_after=last.norm_of_mean,
        loss_curve=history.curve.loss,
        learning_rates=history.curve.learning_rate,
    )


def _to_json(measurement: Measurement) -> dict[str, Any]:
    gradient = measurement.gradient
    return {
        "losses": measurement.losses.tolist(),
        "targets": measurement.targets.tolist(),
        "loss": measurement.loss,
        "composition_entropy": measurement.composition_entropy,
        "gradient": None if gradient is None else [gradient.mean_of_norms, gradient.norm_of_mean],
    }


def _from_json(value: dict[str, Any]) -> Measurement:
    gradient = value["gradient"]
    return Measurement(
        losses=np.array(value["losses"], dtype=np.float64),
        targets=np.array(value["targets"], dtype=np.int64),
        loss=value["loss"],
        composition_entropy=value["composition_entropy"],
        gradient=None if gradient is None else HeadGradient(*gradient),
    )
