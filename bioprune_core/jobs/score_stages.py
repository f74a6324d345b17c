"""The stages of a scoring that need the model: fine-tuning, Fisher, scores with embeddings.

Each can be killed anywhere and called again; what it finished is not computed again.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import ModelError, StorageError
from bioprune_core.influence import (
    FisherScale,
    HeadInputs,
    InfluenceConfig,
    ParameterSet,
    PassPlan,
    TooLong,
    fisher_scale,
    help_fisher,
    help_scores,
    read_backoffs,
    read_fisher,
    read_fisher_tensors,
    read_head_inputs,
    read_plan,
    read_unscored,
    refuse_long,
    refuse_unsupported,
    run_fisher,
    run_scores,
)
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.environment import hardware, resolve_device
from bioprune_core.jobs.pools import open_pool
from bioprune_core.jobs.subset_stages import HELD_OUT, SUBSET, read_positions
from bioprune_core.models import LanguageModelHead, MaskedLanguageModel, load_model
from bioprune_core.sequences import Pool
from bioprune_core.training import TrainingConfig, fine_tune_subset
from bioprune_core.workspace.configuration import RunConfig
from bioprune_core.workspace.model_files import model_files, note_model_files

__all__ = ["fine_tune", "fisher", "join_fisher", "join_score", "score"]


def fine_tune(context: StageContext) -> Mapping[str, Any]:
    """Adapt the model to the subset: adapted/."""
    config, pool = _config_and_pool(context)
    device = resolve_device(config.device)
    # Before they are loaded: what takes their place meanwhile must not pass for what was.
    files = model_files(config.model_reference, context.directory)
    model = load_model(config.model_reference or context.layout.model(config.model_id) / "network", device)
    if model.alphabet is not pool.alphabet:
        raise ModelError(
            f"The model {model.name} reads {model.alphabet}, but the dataset holds {pool.alphabet}. Choose "
            f"another model, or ingest the files again with the alphabet {model.alphabet}."
        )
    settings = InfluenceConfig.from_json(dict(config.influence))
    refuse_unsupported(model, settings)
    if settings.too_long is TooLong.REFUSE:
        # The passes would only meet a long sequence hours from here, and each of them in its shard.
        refuse_long(model, pool.lengths(), settings)
    backbone = {
        "name": model.name,
        "reference": config.model_reference,
        "architecture": model.architecture.value,
        "alphabet": model.alphabet.value,
        "parameters": model.parameters,
        "maximum_residues": model.maximum_residues,
        "content_hash": model.content_hash,
    }
    training = TrainingConfig.from_json(config.training)
    note_model_files(files, context.directory)
    convergence = fine_tune_subset(
        model,
        pool.take(read_positions(context, SUBSET)),
        pool.take(read_positions(context, HELD_OUT)),
        training,
        context.directory / "adapted",
        context.report,
    )
    evidence = convergence.to_json()
    # The curve, one number a step, stays in adapted/convergence.json.
    for curve in ("loss_curve", "learning_rates"):
        del evidence[curve]
    return {
        "model": backbone | {"adapted_content_hash": model.content_hash},
        "training": training.to_json(),
        "convergence": evidence,
        "hardware": hardware(device),
    }


def fisher(context: StageContext) -> Mapping[str, Any]:
    """The Fisher diagonal of the subset: fisher/."""
    work = _fisher_pass(context)
    run_fisher(*work, context.report, keep_inputs=True, tell=context.tell)
    model, _, positions, settings, directory = work
    sequences = len(positions) - len(read_unscored(directory))
    plan = read_plan(directory, settings)
    assert plan is not None  # just written
    return _spectrum(read_fisher_tensors(directory), settings.damping) | {
        "sequences": sequences,
        "plan": plan.to_json(),
        "backoffs": read_backoffs(directory),
        **_studied(model, settings),
    }


def score(context: StageContext) -> Mapping[str, Any]:
    """Influence, loss and embedding of every sequence: scores/, embeddings/."""
    work, kept_inputs, plan = _score_pass(context)
    most_tokens = plan.most_tokens(work[0].device)
    return asdict(run_scores(*work, context.report, kept_inputs, most_tokens, context.tell))


def join_fisher(context: StageContext) -> int | None:
    """Parts of the Fisher diagonal beside the worker that computes it; how many, None before its plan."""
    return help_fisher(*_fisher_pass(context)) if _can_help(context) else 0


def join_score(context: StageContext) -> int:
    """Shards of the scores beside the worker that computes them; how many."""
    if not _can_help(context):
        return 0
    work, kept_inputs, _ = _score_pass(context)
    return help_scores(*work, kept_inputs)


def _can_help(context: StageContext) -> bool:
    """Whether the passes are planned for a device like this one, before anything is loaded for them."""
    config = RunConfig.from_json(context.config)
    plan = _read_plan(context, config)
    return plan is None or plan.suits(resolve_device(config.device))


def _fisher_pass(
    context: StageContext,
) -> tuple[MaskedLanguageModel, Pool, NDArray[np.int64], InfluenceConfig, Path]:
    """What the Fisher pass of a run works on, whoever does it."""
    config, pool = _config_and_pool(context)
    return (
        _adapted_model(context, config),
        pool,
        read_positions(context, SUBSET),
        InfluenceConfig.from_json(dict(config.influence)),
        context.directory / "fisher",
    )


def _score_pass(
    context: StageContext,
) -> tuple[
    tuple[MaskedLanguageModel, Pool, FisherScale, InfluenceConfig, Path, Path], HeadInputs | None, PassPlan
]:
    """What the score pass of a run works on, whoever does it.

    Raises:
        StorageError: The Fisher pass has left no plan.
    """
    config, pool = _config_and_pool(context)
    plan = _read_plan(context, config)
    if plan is None:
        raise StorageError(f"{context.directory / 'fisher'} has no plan.json. Run the Fisher stage again.")
    work = (
        _adapted_model(context, config),
        pool,
        fisher_scale(read_fisher(context.directory / "fisher"), plan.config.damping),
        plan.config,
        context.directory / "scores",
        context.directory / "embeddings",
    )
    return work, read_head_inputs(context.directory / "fisher") if plan.head_inputs else None, plan


def _read_plan(context: StageContext, config: RunConfig) -> PassPlan | None:
    return read_plan(context.directory / "fisher", InfluenceConfig.from_json(dict(config.influence)))


def _config_and_pool(context: StageContext) -> tuple[RunConfig, Pool]:
    config = RunConfig.from_json(context.config)
    return config, open_pool(context, config.dataset_id, config.dataset_content_hash)


def _adapted_model(context: StageContext, config: RunConfig) -> MaskedLanguageModel:
    return load_model(context.directory / "adapted" / "network", resolve_device(config.device))


def _studied(model: MaskedLanguageModel, settings: InfluenceConfig) -> dict[str, str]:
    """By which engine gradients were formed, and of which weight where it is that of the head."""
    if settings.parameters is not ParameterSet.HEAD:
        return {"engine": "hooks"}
    closed = isinstance(model.head, LanguageModelHead)
    return {"engine": "closed form" if closed else "hooks", "weight": model.head.dense_parameter_name}


def _spectrum(tensors: Mapping[str, NDArray[np.float64]], damping: float) -> dict[str, Any]:
    """How unevenly the Fisher information lies on the parameters.

    Args:
        tensors: F by layer, float64: weights of shape (out, in), biases of shape (out,).
        damping: Entries below it hardly count.
    """
    features = {name: tensor.sum(axis=0) for name, tensor in tensors.items() if tensor.ndim == 2}
    sums = {name: float((features[name] if name in features else tensors[name]).sum()) for name in tensors}
    total, parameters = sum(sums.values()), sum(tensor.size for tensor in tensors.values())
    largest = max(float(values.max()) for values in features.values())
    below = sum(int(np.count_nonzero(tensor < damping)) for tensor in tensors.values())
    spectrum: dict[str, Any] = {
        "parameters": parameters,
        "input_features": sum(len(values) for values in features.values()),
        "total": total,
        "largest_input_feature_share": largest / total if total > 0 else 0.0,
        "share_below_damping": below / parameters,
    }
    if len(tensors) > 1:
        spectrum["share_of_layers"] = {
            name: part / total if total > 0 else 0.0 for name, part in sums.items()
        }
    return spectrum
