"""The one stage of a pretrain job: a model from scratch on a dataset, or on a coreset of it."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.environment import hardware, resolve_device
from bioprune_core.jobs.pools import open_pool
from bioprune_core.jobs.subset import Draw, draw_subset
from bioprune_core.jobs.versions import versions
from bioprune_core.models import create_model
from bioprune_core.sequences import Pool
from bioprune_core.storage import write_json
from bioprune_core.training import TrainingConfig, TrainingHistory, train
from bioprune_core.training.convergence import no_better_than_letters
from bioprune_core.training.group import ALONE, TrainingGroup, local_device
from bioprune_core.workspace.configuration import ModelConfig
from bioprune_core.workspace.coresets import MEMBERS_FILE
from bioprune_core.workspace.names import timestamp
from bioprune_core.workspace.state import MANIFEST_FILE

__all__ = ["train_from_scratch"]

# A tenth is held out at most: a small pool is not emptied for the sake of a curve.
_SMALLEST_VALIDATED = 10


def train_from_scratch(context: StageContext, group: TrainingGroup = ALONE) -> Mapping[str, Any]:
    """Make a network with random weights, train it, and write the model's manifest.

    Args:
        context: The model's folder.
        group: This process's place where several train together; the first writes.

    Raises:
        ConflictError: The dataset has changed.
        InputError: The coreset is no longer there.
        StageError: The training diverged, or the device's memory is too small.
    """
    started = time.monotonic()
    config = ModelConfig.from_json(context.config)
    pool = open_pool(context, config.dataset_id, config.dataset_content_hash)
    draw = _draw(context, config, pool)
    device = local_device(resolve_device(config.device))
    model = create_model(config.architecture, config.scale, config.alphabet, config.seed).to(device)
    training = TrainingConfig.from_json(config.training)
    held_out = pool.take(draw.held_out) if len(draw.held_out) else None
    notes: list[str] = []

    def tell(sentence: str) -> None:
        notes.append(sentence)
        context.tell(sentence)

    if config.validation_size and held_out is None:
        tell(_without_validation(config, pool))
    prepared_s = time.monotonic() - started
    history = train(
        model,
        pool.take(draw.subset),
        training,
        context.directory,
        context.report,
        held_out,
        group=group,
        tell=tell,
    )
    if history.knows_only_letters:
        tell(_only_letters(history))
    if history.truncated:
        tell(
            f"{history.truncated:,} sequences are longer than the {model.maximum_residues:,} residues that "
            "the model takes: it was trained on their beginnings."
        )
    if history.unusable:
        tell(f"{history.unusable:,} sequences have no known residue to predict and were left out.")
    evidence = {
        "sequences": len(draw.subset),
        "validation_sequences": len(draw.held_out),
        "steps": history.steps,
        "loss": history.curve.loss[-1],
        "tokens": sum(history.curve.tokens),
        "processes": group.size,
        "validation": history.validation_curve(),
        "unusable": history.unusable,
        "truncated": history.truncated,
        "notes": notes,
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
        "seconds": round(prepared_s + history.seconds, 3),
    }
    if group.leads:
        write_json(context.directory / MANIFEST_FILE, manifest)
    return evidence


def _without_validation(config: ModelConfig, pool: Pool) -> str:
    """Why there is no loss on sequences outside of the training."""
    if len(pool) < _SMALLEST_VALIDATED:
        why = f"the dataset has {len(pool)} sequences, and fewer than {_SMALLEST_VALIDATED} are not divided"
    else:
        why = f"the coreset {config.coreset_id} leaves none of the dataset's {len(pool):,} sequences outside"
    return f"No loss is measured on held-out sequences: {why}."


def _only_letters(history: TrainingHistory) -> str:
    loss, entropy = history.validation[-1][1], history.validation_entropy
    assert entropy is not None
    return (
        f"The model learned no more than letter frequencies: its loss on held-out sequences is {loss:.4f}, "
        f"{no_better_than_letters(entropy)}. Train for more steps, or with another learning rate."
    )


def _draw(context: StageContext, config: ModelConfig, pool: Pool) -> Draw:
    """What is trained on, and what the loss is measured on, which is never among it."""
    validation = min(config.validation_size, len(pool) // _SMALLEST_VALIDATED)
    if config.coreset_id is None:
        size = min(config.training_size or len(pool), len(pool) - validation)
        return draw_subset(pool.hashes(), size, validation, config.seed)
    hashes = np.concatenate(list(pool.hashes()))
    members = _members(context, config.coreset_id)
    outside = np.setdiff1d(np.arange(len(pool)), members, assume_unique=True)
    held_out = _drawn(hashes, outside, min(validation, len(outside)), config.seed)
    if config.training_size is not None and config.training_size < len(members):
        members = _drawn(hashes, members, config.training_size, config.seed)
    return Draw(members, held_out)


def _drawn(
    hashes: NDArray[np.uint64], positions: NDArray[np.int64], size: int, seed: int
) -> NDArray[np.int64]:
    """`size` of the positions, drawn by hash and seed; ascending."""
    if not size:
        return positions[:0]
    return positions[draw_subset([hashes[positions]], size, 0, seed).subset]


def _members(context: StageContext, coreset_id: str) -> NDArray[np.int64]:
    path = context.layout.coreset(coreset_id) / MEMBERS_FILE
    if not path.is_file():
        raise InputError(
            f"The coreset {coreset_id} is no longer there. Make it again from its manifest, or train on "
            "another."
        )
    members: NDArray[np.int64] = np.sort(pq.read_table(path, columns=["position"])["position"].to_numpy())
    return members
