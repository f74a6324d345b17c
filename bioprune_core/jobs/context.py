"""What a stage is given, and the record it leaves when it is finished."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioprune_core.progress import Reporter
from bioprune_core.storage import read_json
from bioprune_core.workspace.configuration import CONFIG_FILE
from bioprune_core.workspace.layout import Layout

__all__ = ["StageContext", "error_file", "log_file", "record_file"]


@dataclass(frozen=True, slots=True)
class StageContext:
    """What the function of a stage works with.

    Args:
        directory: The folder of the dataset, model or run; held under its lock while the stage computes.
        report: Where progress goes.
        tell: Where sentences for the user go.
    """

    directory: Path
    report: Reporter
    tell: Callable[[str], None] = lambda _: None

    @property
    def layout(self) -> Layout:
        """The workspace's folders: those of runs, models and datasets are two levels below the root."""
        return Layout(self.directory.parent.parent)

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the dataset, model or run."""
        config: Mapping[str, Any] = read_json(self.directory / CONFIG_FILE)
        return config

    def evidence(self, stage: str) -> Mapping[str, Any]:
        """What an earlier stage returned."""
        evidence: Mapping[str, Any] = read_json(record_file(self.directory, stage))["evidence"]
        return evidence


def record_file(directory: Path, stage: str) -> Path:
    """Written when a stage is finished: times, memory, and what its function returned."""
    return directory / "stages" / f"{stage}.json"


def error_file(directory: Path, stage: str) -> Path:
    """Written when a stage fails: the sentence for the user and the detail."""
    return directory / "stages" / f"{stage}.error.json"


def log_file(directory: Path, stage: str) -> Path:
    """What the stage's process prints, tracebacks included."""
    return directory / "logs" / f"{stage}.log"
