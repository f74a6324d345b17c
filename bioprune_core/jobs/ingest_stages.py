"""The one stage of an ingest job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bioprune_core.jobs.context import StageContext
from bioprune_core.sequences import IngestOptions, ingest
from bioprune_core.workspace.configuration import DatasetConfig

__all__ = ["ingest_files"]


def ingest_files(context: StageContext) -> Mapping[str, Any]:
    """Read the dataset's files into Parquet, with the quality report and the manifest."""
    config = DatasetConfig.from_json(context.config)
    options = IngestOptions.from_json(dict(config.options))
    quality = ingest(
        [Path(file) for file in config.files],
        context.directory,
        options,
        context.report,
        within=[Path(folder) for folder in config.within],
    )
    return {"read": quality.read, "kept": quality.kept, "sequences": quality.sequences}
