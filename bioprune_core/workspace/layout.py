"""Where everything lies under a workspace's root folder."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a workspace. Needs no database, so a stage in a child process can use it.

    Args:
        root: The workspace folder, absolute.
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", self.root.expanduser().resolve())

    @property
    def catalogue_file(self) -> Path:
        """The SQLite catalogue, unused where PostgreSQL is configured."""
        return self.root / "catalogue.db"

    @property
    def jobs_file(self) -> Path:
        """The SQLite job queue, unused where PostgreSQL is configured."""
        return self.root / "jobs.db"

    @property
    def workers(self) -> Path:
        """Lock files and logs of the workers of this workspace."""
        return self.root / "workers"

    @property
    def uploads(self) -> Path:
        """Folder of the uploads, a folder each: upload.json (of which project), file/, manifest.json."""
        return self.root / "uploads"

    def dataset(self, dataset_id: str) -> Path:
        """Folder of a dataset: config.json, sequences/, report.json, manifest.json."""
        return self.root / "datasets" / dataset_id

    def model(self, model_id: str) -> Path:
        """Folder of a model trained here: config.json, checkpoints, network/, manifest.json."""
        return self.root / "models" / model_id

    def run(self, run_id: str) -> Path:
        """Folder of a run: config.json, subset.parquet, adapted/, fisher/, scores/, map/, manifest.json."""
        return self.root / "runs" / run_id

    def estimate(self, estimate_id: str) -> Path:
        """Folder of what a planned run will take: config.json of the run, manifest.json."""
        return self.root / "estimates" / estimate_id

    def experiment(self, experiment_id: str) -> Path:
        """Folder of an experiment: config.json, plan.json, manifest.json. Its cells lie beside it."""
        return self.root / "experiments" / experiment_id

    @property
    def cells(self) -> Path:
        """Folder of the cells of all experiments, by content."""
        return self.root / "experiments" / "cells"

    def coreset(self, coreset_id: str) -> Path:
        """Folder of a coreset: members.parquet, manifest.json."""
        return self.root / "coresets" / coreset_id
