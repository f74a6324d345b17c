"""From a dataset, a model and a few wishes to a complete configuration, checked before it is computed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bioprune_core.alphabet import Alphabet
from bioprune_core.devices import check_device
from bioprune_core.diagnostics import DiagnosticsConfig, diagnostics_share
from bioprune_core.diagnostics.configuration import AFFORDABLE
from bioprune_core.embedding.config import MapConfig
from bioprune_core.errors import InputError, ModelError
from bioprune_core.influence import InfluenceConfig, Objective
from bioprune_core.models.architectures import from_scratch
from bioprune_core.models.catalogue import find_card
from bioprune_core.training import TrainingConfig, subset_fine_tuning
from bioprune_core.workspace.configuration import HELD_OUT_SIZE, ModelConfig, RunConfig
from bioprune_core.workspace.records import Dataset, Model

__all__ = ["plan_model", "plan_run"]

_SHARD = 4_096
_MOST_SHARDS = 1_024
_LARGEST_SHARD = 65_536
"""At width 1,280 its embeddings take 170 MB; memory stays bounded whatever the pool."""

_UNKNOWN_PARAMETERS = 100_000_000
"""Taken for a model that is known by its path only: it is trained with the smaller learning rate."""


def plan_run(
    dataset: Dataset,
    pool: Mapping[str, Any],
    model: Model,
    trained: Mapping[str, Any] | None,
    subset_size: int,
    settings: Mapping[str, Any],
) -> RunConfig:
    """The configuration of a run, with every default written out.

    Args:
        dataset: The pool.
        pool: Its manifest.
        model: The model.
        trained: Its manifest; None for a model from elsewhere.
        subset_size: M.
        settings: Other fields of `RunConfig`; training, influence, map and diagnostics may be incomplete or
            absent. Diagnostics that are not asked for or against are computed where they cost little.

    Raises:
        InputError: M is larger than the pool, or a setting is out of bounds.
        ModelError: The model reads another alphabet.
    """
    if subset_size > pool["sequences"]:
        raise InputError(
            f"subset_size is {subset_size:,}, but {dataset.name} has {pool['sequences']:,} sequences. "
            f"Choose at most {pool['sequences']:,}."
        )
    alphabet, parameters = _facts(model, trained)
    if alphabet is not None and alphabet != pool["alphabet"]:
        raise ModelError(
            f"The model {model.name} reads {alphabet}, but the dataset {dataset.name} holds "
            f"{pool['alphabet']}. Choose another model, or ingest the files again as {alphabet}."
        )
    wishes = dict(settings)
    check_device(wishes.get("device", "auto"))
    seed = wishes.get("subset_seed", 0)
    training = subset_fine_tuning(parameters, seed).to_json() | dict(wishes.pop("training", None) or {})
    influence: dict[str, Any] = {"shard_size": _shard_size(pool["sequences"])}
    influence |= dict(wishes.pop("influence", None) or {})
    if influence.get("objective") == Objective.MASKED:
        # Not those that the model has just been trained to fill: mask k would be that of epoch k.
        influence = {"mask_seed": (seed + 1) % (1 << 63)} | influence
    placing = {"seed": seed} | dict(wishes.pop("map", None) or {})
    tuning = TrainingConfig.from_json(training)
    asked = dict(wishes.pop("diagnostics", None) or {})
    held_out = wishes.get("held_out_size", HELD_OUT_SIZE)
    mean_tokens = pool["letters"] / pool["sequences"] + 2  # with cls and eos
    passes = tuning.passes(max(1, subset_size), mean_tokens)
    diagnostics = _affordable(asked, pool["sequences"], subset_size, held_out, passes)
    return RunConfig(
        dataset_id=dataset.id,
        dataset_content_hash=pool["content_hash"],
        model_id=model.id,
        subset_size=subset_size,
        model_reference=model.reference,
        model_content_hash=trained["content_hash"] if trained else None,
        training=tuning.to_json(),
        influence=InfluenceConfig.from_json(influence).to_json(),
        map=MapConfig.from_json(placing).to_json(),
        diagnostics=diagnostics.to_json(),
        **wishes,
    )


def plan_model(
    dataset: Dataset, pool: Mapping[str, Any], architecture: str, scale: str, settings: Mapping[str, Any]
) -> ModelConfig:
    """The configuration of a model from scratch, with every default written out.

    Args:
        dataset: What to train on.
        pool: Its manifest.
        architecture: "rna-fm", "esm-2" or "esm-c".
        scale: "tiny", "small", "base" or "full".
        settings: Other fields of `ModelConfig`; training may be incomplete or absent.

    Raises:
        InputError: A setting is out of bounds.
        ModelError: There is no such architecture or scale.
    """
    family, size = from_scratch(architecture, scale)
    wishes = dict(settings)
    check_device(wishes.get("device", "auto"))
    training = {"seed": wishes.get("seed", 0)} | dict(wishes.pop("training", None) or {})
    tuning = TrainingConfig.from_json(training)
    if not tuning.epochs:
        raise InputError("A pretraining of 0 epochs trains nothing; give it more than 0.")
    return ModelConfig(
        architecture=family.value,
        scale=size.value,
        alphabet=Alphabet(pool["alphabet"]),
        dataset_id=dataset.id,
        dataset_content_hash=pool["content_hash"],
        training=tuning.to_json(),
        **wishes,
    )


def _facts(model: Model, trained: Mapping[str, Any] | None) -> tuple[str | None, int]:
    """Alphabet and number of parameters, as far as they are known without loading the model."""
    if trained is not None:
        return trained["alphabet"], trained["parameters"]
    card = find_card(model.reference or "")
    return (None, _UNKNOWN_PARAMETERS) if card is None else (card.alphabet.value, card.parameters)


def _affordable(
    asked: Mapping[str, Any], pool: int, subset: int, held_out: int, epochs: float
) -> DiagnosticsConfig:
    config = DiagnosticsConfig.from_json(asked)
    if "enabled" in asked:
        return config
    return replace(config, enabled=diagnostics_share(config, pool, subset, held_out, epochs) <= AFFORDABLE)


def _shard_size(sequences: int) -> int:
    """About a thousand shards at most, so that opening them all stays quick, in multiples of the smallest."""
    multiples = -(-sequences // (_SHARD * _MOST_SHARDS))
    return min(_LARGEST_SHARD, _SHARD * max(1, multiples))
