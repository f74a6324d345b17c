"""One model on one task, from its features or by fine-tuning, to the task's metrics on its test part."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.evaluation.cropping import crop
from bioprune_core.evaluation.embed import pooled_features, residue_features
from bioprune_core.evaluation.fine_tune import fine_tune
from bioprune_core.evaluation.pair_probe import probe_pairs
from bioprune_core.evaluation.probe import Probed, probe_residues, probe_sequences
from bioprune_core.evaluation.protocol import Method, ProbeSettings, Protocol
from bioprune_core.evaluation.scoring import refuse_nan
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.tasks import Examples, Part, TargetKind, TaskData, limit_training, measure

__all__ = ["Evaluation", "evaluate"]

Features = TypeVar("Features")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a model is on a task.

    Args:
        figures: The task's metrics on the test part.
        validation: Those on the validation part, by which the head was chosen: too good, for diagnosis only.
        chosen: What was chosen on the validation part, by name.
        truncated: Examples of each part that lost residues because the model takes no more.
        seconds: That it took.
    """

    figures: Mapping[str, float]
    validation: Mapping[str, float]
    chosen: Mapping[str, float]
    truncated: Mapping[str, int]
    seconds: float


def evaluate(
    model: MaskedLanguageModel,
    data: TaskData,
    protocol: Protocol | None = None,
    seed: int = 0,
    report: Reporter = discard,
) -> Evaluation:
    """Measure a model on a task.

    Args:
        model: Not changed; computes where it is.
        data: The task's.
        protocol: Probe or fine-tuning; None for the probe with its defaults.
        seed: Of heads, order, samples and dropout.
        report: Told of progress.

    Raises:
        InputError: The model reads another alphabet, or there is nothing to learn.
        StageError: Training diverged, a prediction is not finite, or memory does not suffice.
    """
    started = time.monotonic()
    protocol = protocol or Protocol()
    if model.alphabet is not data.task.alphabet:
        raise InputError(
            f"The model {model.name} reads {model.alphabet.value}, the task {data.task.name} has "
            f"{data.task.alphabet.value}. Choose a task of the model's alphabet."
        )
    cropped = crop(data, model.maximum_residues)
    if protocol.method is Method.FINE_TUNE:
        found = fine_tune(model, cropped.data, protocol.fine_tune, seed, measure, report)
    else:
        found = _probe(model, cropped.data, protocol.probe, seed, report)
    parts = cropped.data.parts
    refuse_nan(parts[Part.TEST], found.test, model.name)
    return Evaluation(
        measure(data.task, parts[Part.TEST].targets, found.test),
        measure(data.task, parts[Part.VALIDATION].targets, found.validation),
        found.chosen,
        {part.value: count for part, count in cropped.truncated.items()},
        time.monotonic() - started,
    )


def _probe(
    model: MaskedLanguageModel,
    data: TaskData,
    settings: ProbeSettings,
    seed: int,
    report: Reporter,
) -> Probed:
    if not data.task.target.is_ragged:
        drawn = limit_training(data, settings.sequences, seed)
        pooled = _by_part(drawn, lambda examples: _pooled(model, examples, settings, report))
        found = probe_sequences(drawn, pooled, settings, measure, report)
        if drawn is not data:
            found.chosen["sequences"] = float(settings.sequences)
        return found
    residues = _by_part(
        data,
        lambda examples: residue_features(model, examples.sequences, report, precision=settings.precision),
    )
    if data.task.target is TargetKind.RESIDUE_CLASS:
        return probe_residues(data, residues, settings, seed, measure, report)
    return probe_pairs(data, residues, settings, seed, measure, report)


def _by_part(data: TaskData, features: Callable[[Examples], Features]) -> dict[Part, Features]:
    return {part: features(examples) for part, examples in data.parts.items()}


def _pooled(
    model: MaskedLanguageModel,
    examples: Examples,
    settings: ProbeSettings,
    report: Reporter,
) -> NDArray[np.float32]:
    """Features of the sequence, and of its partner beside it where there is one."""
    sides = [examples.sequences] if examples.partners is None else [examples.sequences, examples.partners]
    features = [
        pooled_features(model, side, settings.pooling, report, precision=settings.precision) for side in sides
    ]
    return np.concatenate(features, axis=1) if len(features) > 1 else features[0]
