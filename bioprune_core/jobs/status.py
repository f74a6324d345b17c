"""What can be said of a job and of a worker."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bioprune_core.jobs.kinds import JobKind
from bioprune_core.progress import Progress

__all__ = ["JobState", "JobStatus", "StageStatus", "WorkerStatus"]


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens unless a person retries or resumes the job."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage of a job.

    Args:
        name: Its name.
        seconds: How long its last attempt computed; None while it is not finished.
    """

    name: str
    seconds: float | None

    @property
    def is_finished(self) -> bool:
        """Whether the stage is done."""
        return self.seconds is not None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job as it stands.

    Args:
        id: Identifier.
        kind: What it makes.
        target_id: Id of the dataset, model or run.
        project_id: The project of that; None where it was deleted.
        target_name: Its name; None where it was deleted.
        state: Where the job stands.
        created: When it was enqueued, UTC.
        started: When a worker took it up last, UTC; None before.
        finished: When it ended, UTC; None before.
        queue_position: 1 for the next in its queue; None unless queued.
        worker: Name of the worker that has or had it; None before.
        stage: The stage at work, or where the job stopped; empty before the first and once done.
        stages: All stages in order.
        progress: The latest progress of the stage at work; None before the first and once done. Its own stage
            may name a part of the work: "measure-before" in "fine-tune".
        eta_s: Seconds until that part is finished, from its latest pace; None where unknown.
        error: For a failed job a sentence that says why.
    """

    id: str
    kind: JobKind
    target_id: str
    project_id: str | None
    target_name: str | None
    state: JobState
    created: datetime
    started: datetime | None
    finished: datetime | None
    queue_position: int | None
    worker: str | None
    stage: str
    stages: tuple[StageStatus, ...]
    progress: Progress | None
    eta_s: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker as last heard of.

    Args:
        name: Its stable name.
        host: The machine.
        process: Its process id there.
        started: When, UTC.
        seen: Its last heartbeat, UTC.
        alive: Whether that was a moment ago.
        job_ids: The jobs it is doing.
    """

    name: str
    host: str
    process: int
    started: datetime
    seen: datetime
    alive: bool
    job_ids: tuple[str, ...]
