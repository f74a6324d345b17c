"""The stage that measures what a planned run will take."""

import os
from collections.abc import Mapping
from typing import Any

import psutil

from bioprune_core.diagnostics.configuration import DiagnosticsConfig
from bioprune_core.embedding import MapConfig
from bioprune_core.estimate import RunCost, measure_run, project_cost
from bioprune_core.influence import InfluenceConfig, TooLong
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.environment import hardware, resolve_device
from bioprune_core.jobs.pools import open_pool
from bioprune_core.models import load_model
from bioprune_core.storage import write_json
from bioprune_core.training import TrainingConfig
from bioprune_core.workspace.configuration import RunConfig
from bioprune_core.workspace.names import timestamp
from bioprune_core.workspace.state import MANIFEST_FILE

__all__ = ["estimate"]


def estimate(context: StageContext) -> Mapping[str, Any]:
    """Measure a few batches of a run and extrapolate: manifest.json."""
    config = RunConfig.from_json(context.config)
    device = resolve_device(config.device)
    cost = _cost(context, config, device)
    write_json(
        context.directory / MANIFEST_FILE,
        {
            "kind": "estimate",
            "cost": cost.to_json(),
            "hardware": hardware(device),
            "created": timestamp(),
        },
    )
    return {}


def _cost(context: StageContext, config: RunConfig, device: Any) -> RunCost:
    pool = open_pool(context, config.dataset_id, config.dataset_content_hash)
    model = load_model(config.model_reference or context.layout.model(config.model_id) / "network", device)
    influence = InfluenceConfig.from_json(dict(config.influence))
    training = TrainingConfig.from_json(config.training)
    lengths = pool.lengths()
    return project_cost(
        measure_run(model, pool, lengths, influence, training, _load_seconds(), context.report),
        lengths,
        subset_size=config.subset_size,
        held_out_size=config.held_out_size,
        training=training,
        shard_size=influence.shard_size,
        landmarks=MapConfig.from_json(dict(config.map)).landmarks,
        diagnostics=DiagnosticsConfig.from_json(config.diagnostics),
        windows=influence.too_long is TooLong.WINDOW,
    )


def _load_seconds() -> float:
    """From the beginning of the host that has loaded the libraries to that of this fork of it."""
    process = psutil.Process()
    # Where stages are not forked, the leader of the session is this process, and loads for itself.
    return float(process.create_time() - psutil.Process(os.getsid(0)).create_time())
