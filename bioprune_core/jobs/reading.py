"""Putting together what the queue, the catalogue and the files say of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from bioprune_core.errors import BioPruneError
from bioprune_core.jobs.context import record_file
from bioprune_core.jobs.kinds import JobKind, Plans, Stage, directory_of
from bioprune_core.jobs.status import JobState, JobStatus, StageStatus
from bioprune_core.progress import Progress
from bioprune_core.storage import read_json
from bioprune_core.workspace.configuration import CONFIG_FILE
from bioprune_core.workspace.events import EVENTS_FILE, Event, EventKind, recent_events
from bioprune_core.workspace.layout import Layout
from bioprune_core.workspace.records import Dataset, Experiment, Model, Run

__all__ = [
    "OPEN",
    "Target",
    "Targets",
    "describe",
    "stage_eta",
    "stage_progress",
    "target_of",
]

_STATES = {
    "ENQUEUED": JobState.QUEUED,
    "DELAYED": JobState.QUEUED,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "ERROR": JobState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}
OPEN = [status for status, state in _STATES.items() if not state.is_final]
"""What the queue calls a job that waits or runs."""

Target = Dataset | Model | Run | Experiment
Targets = Mapping[str, Target]
"""The catalogue's things by id."""

_PACE_S = 60.0
"""The pace of the last minute tells the time left: warm-up and long sequences at first would mislead."""


@dataclass(frozen=True, slots=True)
class _Account:
    """What the files of a job's target tell of the job; `failure` is a sentence, empty where none is told."""

    stages: tuple[StageStatus, ...] = ()
    stage: str = ""
    progress: Progress | None = None
    eta_s: float | None = None
    failure: str = ""


def describe(
    workflow: Any,
    layout: Layout,
    plans: Plans,
    targets: Targets,
    queue_position: int | None,
    *,
    detailed: bool = True,
) -> JobStatus:
    """A job's status.

    Args:
        workflow: The queue's `WorkflowStatus`.
        layout: The workspace's folders.
        plans: The stages of each kind.
        targets: The catalogue's things by id.
        queue_position: 1 for the next; None unless queued.
        detailed: Whether files are read for a job that has ended: for its stages and why it failed.
    """
    kind = JobKind(workflow.attributes["kind"])
    target_id = workflow.attributes["target_id"]
    target = target_of(workflow, layout, targets)
    state = _STATES[workflow.status]
    directory = directory_of(layout, kind, target_id)
    account = _Account()
    if not state.is_final:
        account = _account(directory, plans[kind], state)
    elif detailed:
        account = _ended_account(directory, plans[kind], state, _stamp(directory))
    return JobStatus(
        id=workflow.workflow_id,
        kind=kind,
        target_id=target_id,
        project_id=target.project_id if target else None,
        target_name=target.name if target else None,
        state=state,
        created=_time(workflow.created_at) or datetime.now(UTC),
        started=_time(workflow.dequeued_at),
        finished=_time(workflow.completed_at),
        queue_position=queue_position,
        worker=None if state is JobState.QUEUED else workflow.executor_id,
        stage=account.stage,
        stages=account.stages,
        progress=account.progress,
        eta_s=account.eta_s,
        error=_error(workflow, account.failure) if detailed and state is JobState.FAILED else None,
    )


def target_of(workflow: Any, layout: Layout, targets: Targets) -> Target | None:
    """What a job is about: its target, for an estimate the dataset; None where that was deleted."""
    kind, target_id = JobKind(workflow.attributes["kind"]), workflow.attributes["target_id"]
    if kind is JobKind.ESTIMATE:
        target_id = _dataset_of(directory_of(layout, kind, target_id))
    return targets.get(target_id)


def stage_eta(events: list[Event]) -> float | None:
    """Seconds until the stage of the last progress event is finished, from the pace of the last minute.

    Args:
        events: Events in order; those of the present attempt of one stage count.

    Returns:
        None before there is a pace, or where the end is not known.
    """
    last = events[-1] if events else None
    if last is None or last.total is None:
        return None
    end = datetime.fromisoformat(last.time)
    # The first event of the last minute; at the latest the last event itself.
    ages = ((end - datetime.fromisoformat(event.time)).total_seconds() for event in events)
    first, seconds = next((event, age) for event, age in zip(events, ages, strict=True) if age <= _PACE_S)
    if seconds < 1 or last.done <= first.done:
        return None
    return (last.total - last.done) * seconds / (last.done - first.done)


def stage_progress(events: list[Event]) -> tuple[Progress | None, float | None]:
    """The latest progress of the stage at work and the seconds it still takes."""
    current: list[Event] = []
    for event in events:
        if event.kind is not EventKind.PROGRESS or (current and current[-1].stage != event.stage):
            current = []
        if event.kind is EventKind.PROGRESS:
            current.append(event)
    return (current[-1].progress, stage_eta(current)) if current else (None, None)


def _account(directory: Path, plan: tuple[Stage, ...], state: JobState) -> _Account:
    stages = tuple(StageStatus(stage.name, _seconds(directory, stage.name)) for stage in plan)
    told = state in (JobState.RUNNING, JobState.FAILED, JobState.CANCELLED)
    events = recent_events(directory) if told else []
    progress, eta_s = stage_progress(events) if state is JobState.RUNNING else (None, None)
    failures = (event.message for event in reversed(events) if event.kind is EventKind.FAILED)
    return _Account(stages, _stage_at_work(stages) if events else "", progress, eta_s, next(failures, ""))


@lru_cache(maxsize=1024)
def _ended_account(
    directory: Path,
    plan: tuple[Stage, ...],
    state: JobState,
    stamp: tuple[tuple[int, int, int] | None, ...],  # noqa: ARG001 - what the cache goes by
) -> _Account:
    return _account(directory, plan, state)


def _stamp(directory: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """Changes with all that `_account` reads: the log grows, a record of a stage is renamed into its folder.

    Another job, or a command, may work in the directory of one that has ended; its own time in the queue says
    nothing of that, and SQLite keeps it to the second.
    """
    return tuple(_written(path) for path in (directory / EVENTS_FILE, record_file(directory, "any").parent))


def _written(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _stage_at_work(stages: tuple[StageStatus, ...]) -> str:
    return next((stage.name for stage in stages if not stage.is_finished), "")


def _dataset_of(estimate: Path) -> str:
    """The dataset that an estimate is about; empty where its folder is gone."""
    path = estimate / CONFIG_FILE
    written = _written(path)
    return "" if written is None else _estimated(path, written)


@lru_cache(maxsize=1024)
def _estimated(config: Path, written: tuple[int, int, int]) -> str:  # noqa: ARG001 - what the cache goes by
    return str(read_json(config)["dataset_id"])


def _seconds(directory: Path, stage: str) -> float | None:
    path = record_file(directory, stage)
    return float(read_json(path)["seconds"]) if path.is_file() else None


def _error(workflow: Any, logged: str) -> str:
    """The sentence of the failure: the queue's own record of it, otherwise the event log's."""
    if isinstance(workflow.error, BioPruneError):
        return workflow.error.message
    if logged:
        return logged
    if workflow.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        return "The worker died again and again while it did this job. See the log, then retry."
    return f"The job failed unexpectedly: {workflow.error}. See the log, then retry."


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
