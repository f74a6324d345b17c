"""The kinds of jobs and the stages each consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bioprune_core.workspace.layout import Layout

__all__ = ["PLANS", "JobKind", "Plans", "Stage", "directory_of"]


class JobKind(StrEnum):
    """What a job makes: a dataset, a model or a run."""

    INGEST = "ingest"
    PRETRAIN = "pretrain"
    SCORE = "score"

    @property
    def target(self) -> str:
        """What the target's id names: "dataset", "model" or "run"."""
        return {"ingest": "dataset", "pretrain": "model", "score": "run"}[self.value]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a job, computed by one child process.

    Args:
        name: As in events: "subset", "fine-tune", ...
        function: Where the code is, as "module:function". Called with a `StageContext`; what it returns is
            kept in `stages/<name>.json`.
    """

    name: str
    function: str


Plans = Mapping[JobKind, tuple[Stage, ...]]
"""The stages of each kind of job, in order. The last one writes the manifest."""

_SCORE = "bioprune_core.jobs.score_stages"

PLANS: Plans = {
    JobKind.INGEST: (Stage("ingest", "bioprune_core.jobs.ingest_stages:ingest_files"),),
    JobKind.PRETRAIN: (Stage("train", "bioprune_core.jobs.pretrain_stages:train_from_scratch"),),
    JobKind.SCORE: (
        Stage("subset", "bioprune_core.jobs.subset_stages:draw"),
        Stage("fine-tune", f"{_SCORE}:fine_tune"),
        Stage("fisher", f"{_SCORE}:fisher"),
        Stage("score", f"{_SCORE}:score"),
        Stage("map", "bioprune_core.jobs.map_stages:place"),
        Stage("diagnostics", "bioprune_core.jobs.diagnostic_stages:diagnose"),
        Stage("manifest", "bioprune_core.jobs.run_manifest:finish"),
    ),
}


def directory_of(layout: Layout, kind: JobKind, target_id: str) -> Path:
    """The folder that a job fills."""
    place = {JobKind.INGEST: layout.dataset, JobKind.PRETRAIN: layout.model, JobKind.SCORE: layout.run}
    return place[kind](target_id)
