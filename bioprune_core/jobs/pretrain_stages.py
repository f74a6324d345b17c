"""The one stage of a pretrain job: a model from scratch on a dataset."""

import time
from collections.abc import Mapping
from typing import Any

from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.environment import hardware, resolve_device
from bioprune_core.jobs.pools import open_pool
from bioprune_core.jobs.subset import draw_subset
from bioprune_core.jobs.versions import versions
from bioprune_core.models import create_model
from bioprune_core.storage import write_json
from bioprune_core.training import TrainingConfig, train
from bioprune_core.workspace.configuration import ModelConfig
from bioprune_core.workspace.names import timestamp
from bioprune_core.workspace.state import MANIFEST_FILE

__all__ = ["train_from_scratch"]


def train_from_scratch(context: StageContext) -> Mapping[str, Any]:
    """Make a network with random weights, train it on the dataset, and write the model's manifest."""
    started = time.monotonic()
    config = ModelConfig.from_json(context.config)
    pool = open_pool(context, config.dataset_id, config.dataset_content_hash)
    # A tenth at most: a small pool is not emptied for the sake of a curve.
    validation = min(config.validation_size, len(pool) // 10)
    size = min(config.training_size or len(pool), len(pool) - validation)
    draw = draw_subset(pool.hashes(), size, validation, config.seed)
    device = resolve_device(config.device)
    model = create_model(config.architecture, config.scale, config.alphabet, config.seed).to(device)
    training = TrainingConfig.from_json(config.training)
    held_out = pool.take(draw.held_out) if validation else None
    history = train(model, pool.take(draw.subset), training, context.directory, context.report, held_out)
    evidence = {
        "sequences": size,
        "validation_sequences": validation,
        "steps": history.steps,
        "loss": history.curve.loss[-1],
        "validation": [{"step": step, "loss": loss} for step, loss in history.validation],
        "unusable": history.unusable,
        "truncated": history.truncated,
    }
    manifest = {
        "kind": "model",
        "id": context.directory.name,
        "config": dict(context.config) | {"training": training.to_json()},
        "name": model.name,
        "architecture": model.architecture.value,
        "alphabet": model.alphabet.value,
        "parameters": model.parameters,
        "maximum_residues": model.maximum_residues,
        "content_hash": history.content_hash,
        "dataset": {"id": config.dataset_id, "content_hash": pool.content_hash},
        "training": evidence,
        "hardware": hardware(device),
        "versions": versions(),
        "created": timestamp(),
        "seconds": round(time.monotonic() - started, 3),
    }
    write_json(context.directory / MANIFEST_FILE, manifest)
    return evidence
