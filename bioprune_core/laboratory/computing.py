"""Computing one cell: a network trained from scratch and its held-out losses, or its figures on a task."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.evaluation import evaluate
from bioprune_core.experiments import HELD_OUT_LOSSES, EvaluationCell, PretrainingCell, draw, draw_seed
from bioprune_core.experiments.pool import UNGROUPED
from bioprune_core.jobs.environment import hardware
from bioprune_core.laboratory.preparation import Prepared
from bioprune_core.models import MaskedLanguageModel, create_model, load_model, save_model
from bioprune_core.progress import Reporter
from bioprune_core.tasks import limit_training
from bioprune_core.training import Precision, TrainingConfig, train
from bioprune_core.training.batches import Corpus
from bioprune_core.training.measure import Measurement, measure
from bioprune_core.training.optimisation import uses_bf16

__all__ = ["NETWORK", "compute_evaluation", "compute_pretraining"]

NETWORK = "network"
# Of a family at most, drawn in the order of the pool's hashes: families differ in size by a thousand.
_MOST_OF_A_FAMILY = 200


def compute_pretraining(
    prepared: Prepared, cell: PretrainingCell, folder: Path, device: torch.device, report: Reporter
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train a cell's network into its folder and measure its held-out losses.

    An interrupted training goes on from its checkpoint.

    Returns:
        Losses by name, and what belongs to the result: seconds, tokens, hardware.

    Raises:
        BioPruneError: The training diverged, the disk is full, or the device's memory is too small.
    """
    config, place = prepared.config, cell.places[0]
    settings = config.pretraining
    alphabet = prepared.sequences.alphabet
    model = create_model(settings.architecture, settings.scale, alphabet, place.seed).to(device)
    training = settings.training_config(place.seed)
    precision = Precision.BF16 if uses_bf16(training.precision, device) else Precision.FLOAT32
    tokens, curve, seconds = 0, list[float](), 0.0
    if cell.trained:
        arm = next(arm for arm in config.all_arms if arm.name == place.arm)
        positions = draw(arm, place.size, prepared.arrays, draw_seed(config.draw_seed, place.seed))
        history = train(model, prepared.sequences.take(positions), training, folder, report)
        # Those of the whole training, like the tokens, however often it was interrupted.
        tokens, curve, seconds = sum(history.curve.tokens), history.curve.loss, history.seconds
    else:
        save_model(model, folder / NETWORK)
    measuring = time.monotonic()
    losses, only_letters = _held_out_losses(prepared, load_model(folder / NETWORK).to(device), training)
    return losses, {
        "kind": "pretraining",
        "seconds": round(seconds + time.monotonic() - measuring, 3),
        "tokens": tokens,
        "steps": len(curve),
        "training_loss": float(np.mean(curve[-20:])) if curve else None,
        "knows_only_letters": bool(curve) and only_letters,
        "parameters": model.parameters,
        "precision": precision.value if cell.trained else None,
        "hardware": hardware(device),
    }


def compute_evaluation(
    prepared: Prepared, cell: EvaluationCell, network: Path, device: torch.device, report: Reporter
) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure a network on a task.

    Raises:
        BioPruneError: Nothing can be learned, training diverged, or a prediction is not finite.
    """
    config = prepared.config
    limit = next(choice.limit for choice in config.tasks if choice.name == cell.task)
    data = limit_training(prepared.tasks[cell.task], limit, cell.seed)
    model = load_model(network / NETWORK).to(device)
    found = evaluate(model, data, config.protocol(cell.protocol, cell.task), cell.seed, report)
    return dict(found.figures), {
        "kind": "evaluation",
        "seconds": round(found.seconds, 3),
        "task": cell.task,
        "protocol": cell.protocol.value,
        "validation": {
            name: value if math.isfinite(value) else None for name, value in found.validation.items()
        },
        "chosen": dict(found.chosen),
        "truncated": dict(found.truncated),
        "hardware": hardware(device),
    }


def _held_out_losses(
    prepared: Prepared, model: MaskedLanguageModel, training: TrainingConfig
) -> tuple[dict[str, float], bool]:
    """Masked losses with the same masks for every network of an experiment, nats.

    Returns:
        The losses by name, and whether none of them is below the entropy of its letters.
    """
    # Seeds of cells move training masks; these must not move.
    fixed = TrainingConfig.from_json({**training.to_json(), "seed": prepared.config.draw_seed})
    random, families, mean = HELD_OUT_LOSSES
    measured: dict[str, Measurement] = {}
    losses = {}
    for name, held_out in ((random, prepared.held_out.sequences), (families, prepared.held_out.families)):
        if held_out.any():
            measured[name] = _measured(prepared, model, np.flatnonzero(held_out), fixed)
            losses[name] = measured[name].loss
    if families in losses:
        losses[mean] = float(np.mean(_family_losses(prepared, model, fixed)))
    poor = [each.loss >= each.composition_entropy for each in measured.values()]
    return losses, bool(poor) and all(poor)


def _family_losses(prepared: Prepared, model: MaskedLanguageModel, config: TrainingConfig) -> list[float]:
    codes = np.where(prepared.held_out.families, prepared.families, UNGROUPED)
    order = np.argsort(prepared.arrays.hashes, kind="stable")
    losses = []
    for code in np.setdiff1d(codes, [UNGROUPED]):
        members = order[codes[order] == code][:_MOST_OF_A_FAMILY]
        losses.append(_measured(prepared, model, np.sort(members), config).loss)
    return losses


def _measured(
    prepared: Prepared, model: MaskedLanguageModel, positions: NDArray[np.int64], config: TrainingConfig
) -> Measurement:
    corpus = Corpus.of(prepared.sequences.take(positions), model, "held-out sequences")
    return measure(model, corpus, config)
