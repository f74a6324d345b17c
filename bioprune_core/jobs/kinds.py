"""The kinds of jobs and the stages each consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bioprune_core.workspace.layout import Layout

__all__ = ["PLANS", "JobKind", "Plans", "Stage", "directory_of", "help_target", "helped_stage"]


class JobKind(StrEnum):
    """What a job makes: a dataset, a model, a run or an experiment, or an estimate of what a run takes."""

    INGEST = "ingest"
    PRETRAIN = "pretrain"
    SCORE = "score"
    ESTIMATE = "estimate"
    EXPERIMENT = "experiment"
    HELP = "help"
    """Computing parts of a stage that another worker does."""

    @property
    def target(self) -> str:
        """What the target's id names: "dataset", "model", "run", "estimate", ...; for help, "stage"."""
        targets = {
            JobKind.INGEST: "dataset",
            JobKind.PRETRAIN: "model",
            JobKind.SCORE: "run",
            JobKind.ESTIMATE: "estimate",
            JobKind.EXPERIMENT: "experiment",
            JobKind.HELP: "stage",
        }
        return targets[self]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a job, computed by one child process.

    Args:
        name: As in events: "subset", "fine-tune", ...
        function: Where the code is, as "module:function". Called with a `StageContext`; what it returns is
            kept in `stages/<name>.json`.
        help: The code with which other workers compute parts of this stage beside it, as "module:function";
            empty where a stage is done by one worker alone. It returns how many it computed, or None where
            more may turn up: a worker that computed 0 is not called again.
    """

    name: str
    function: str
    help: str = ""


Plans = Mapping[JobKind, tuple[Stage, ...]]
"""The stages of each kind of job, in order. The last one writes the manifest."""

_SCORE = "bioprune_core.jobs.score_stages"
_LABORATORY = "bioprune_core.laboratory.stages"

PLANS: Plans = {
    JobKind.INGEST: (Stage("ingest", "bioprune_core.jobs.ingest_stages:ingest_files"),),
    JobKind.PRETRAIN: (Stage("train", "bioprune_core.jobs.pretrain_stages:train_from_scratch"),),
    JobKind.SCORE: (
        Stage("subset", "bioprune_core.jobs.subset_stages:draw"),
        Stage("fine-tune", f"{_SCORE}:fine_tune"),
        Stage("fisher", f"{_SCORE}:fisher", help=f"{_SCORE}:join_fisher"),
        Stage("score", f"{_SCORE}:score", help=f"{_SCORE}:join_score"),
        Stage("map", "bioprune_core.jobs.map_stages:place"),
        Stage("diagnostics", "bioprune_core.jobs.diagnostic_stages:diagnose"),
        Stage("manifest", "bioprune_core.jobs.run_manifest:finish"),
    ),
    JobKind.ESTIMATE: (Stage("estimate", "bioprune_core.jobs.estimate_stages:estimate"),),
    JobKind.EXPERIMENT: (
        Stage("plan", f"{_LABORATORY}:plan"),
        Stage("cells", f"{_LABORATORY}:compute", help=f"{_LABORATORY}:join"),
    ),
    JobKind.HELP: (),
}


def helped_stage(plans: Plans, target: str) -> Stage:
    """The stage that a `help_target` names."""
    name = target.partition(":")[2]
    return next(stage for stages in plans.values() for stage in stages if stage.help and stage.name == name)


def help_target(target_id: str, stage: Stage) -> str:
    """The target of a job that helps with a stage."""
    return f"{target_id}:{stage.name}"


def directory_of(layout: Layout, kind: JobKind, target_id: str) -> Path:
    """The folder that a job fills."""
    place = {
        JobKind.INGEST: layout.dataset,
        JobKind.PRETRAIN: layout.model,
        JobKind.SCORE: layout.run,
        JobKind.ESTIMATE: layout.estimate,
        JobKind.EXPERIMENT: layout.experiment,
    }
    if kind is JobKind.HELP:
        # What is helped with is told from its id.
        target_id = target_id.partition(":")[0]
        kind = JobKind.EXPERIMENT if target_id.startswith("experiment-") else JobKind.SCORE
    return place[kind](target_id)
