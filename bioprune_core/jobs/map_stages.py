"""The stage of a scoring that draws the map."""

from collections.abc import Mapping
from typing import Any

from bioprune_core.embedding import MapConfig, run_map
from bioprune_core.jobs.context import StageContext
from bioprune_core.workspace.configuration import RunConfig

__all__ = ["place"]


def place(context: StageContext) -> Mapping[str, Any]:
    """Place every sequence on the map: map/."""
    settings = MapConfig.from_json(dict(RunConfig.from_json(context.config).map))
    directory = context.directory
    run_map(directory / "embeddings", directory / "scores", directory / "map", settings, context.report)
    return {}
