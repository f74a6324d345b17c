"""Putting jobs into the queue, watching and steering them. Needs no torch: pages use it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count, islice
from types import TracebackType
from typing import Any, Self

from dbos import DBOSClient
from dbos import error as queue_error
from sqlalchemy.exc import DBAPIError

from bioprune_core.errors import ConflictError, NotFoundError, StorageError
from bioprune_core.jobs.context import log_file
from bioprune_core.jobs.database import (
    APPLICATION,
    APPLICATION_VERSION,
    QUEUE_OF,
    WORKFLOW,
    prepare_database,
)
from bioprune_core.jobs.drive import target_directory
from bioprune_core.jobs.heartbeats import Heartbeats
from bioprune_core.jobs.kinds import PLANS, JobKind, Plans, directory_of
from bioprune_core.jobs.reading import OPEN, Target, Targets, describe, target_of
from bioprune_core.jobs.status import JobState, JobStatus, WorkerStatus
from bioprune_core.workspace.names import new_id
from bioprune_core.workspace.records import Dataset, Experiment, Model, Run
from bioprune_core.workspace.workspace import Workspace

__all__ = ["JobClient"]

_LOG_BYTES = 1 << 16
_PAGE = 500

# Inside the class `list` is the method.
Ids = list[str]
Jobs = list[JobStatus]
Workers = list[WorkerStatus]
Workflows = list[Any]


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StorageError(
            "The job database does not answer. Start its server, or end what locks its file, and try again.",
            detail=str(error),
        ) from error


class JobClient:
    """The queue of a workspace, seen from outside the workers. Safe to use from several threads.

    Every method raises StorageError where the job database does not answer.

    Args:
        workspace: The workspace.
        plans: The stages of each kind of job.

    Raises:
        StorageError: The job database cannot be opened.
    """

    def __init__(self, workspace: Workspace, plans: Plans = PLANS) -> None:
        self._workspace = workspace
        self._plans = plans
        url = prepare_database(workspace)
        self._client = DBOSClient(
            system_database_url=url,
            application_name=APPLICATION,
            # Otherwise a page waits, without a word and without end, for a server that does not answer.
            retry_connection_errors=False,
        )
        self._heartbeats = Heartbeats(workspace)

    def close(self) -> None:
        """Close the connections to the job database."""
        self._client.destroy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @_answered()
    def enqueue(self, kind: JobKind, target_id: str) -> str:
        """Put a job into the queue; a worker then does it.

        Args:
            kind: What to do.
            target_id: Id of the dataset, model or run.

        Returns:
            The job's id: that of the waiting or running job where there is one for the same target.

        Raises:
            NotFoundError: There is no such dataset, model or run.
        """
        target_directory(self._workspace.layout, kind, target_id)
        waiting = self._open_job(kind, target_id)
        if waiting is not None:
            return waiting
        handle: Any = self._client.enqueue(
            {
                "queue_name": QUEUE_OF[kind],
                "workflow_name": WORKFLOW,
                "workflow_id": new_id("job"),
                "app_version": APPLICATION_VERSION,
                "deduplication_id": f"{kind}:{target_id}",
                "duplication_policy": "return-existing",
                "attributes": {"kind": kind.value, "target_id": target_id},
            },
            kind.value,
            target_id,
        )
        job_id: str = handle.get_workflow_id()
        return job_id

    @_answered()
    def get(self, job_id: str) -> JobStatus:
        """One job as it stands. Raises NotFoundError."""
        found = self._describe(self._workflows(workflow_ids=[job_id]), self._targets())
        if not found:
            raise NotFoundError(f"There is no job {job_id}. See the list of jobs.")
        return found[0]

    @_answered()
    def list(self, project_id: str | None = None, limit: int = 200, detailed: int | None = None) -> Jobs:
        """All jobs that wait or run and the latest that have ended, newest first.

        Args:
            project_id: Only those of this project.
            limit: How many jobs that have ended at most.
            detailed: Of how many of them, the latest, files are read; the others are given without stages and
                without the reason of a failure. All by default.
        """
        targets = self._targets()

        def listed(workflow: Any) -> bool:
            if workflow.attributes["kind"] == JobKind.HELP:
                return False  # Part of the job that it helps with.
            if project_id is None:
                return True
            target = target_of(workflow, self._workspace.layout, targets)
            return target is not None and target.project_id == project_id

        # Open ones first: one that ends in between is then among both, not among none.
        is_open = filter(listed, self._workflows(status=OPEN, sort_desc=True))
        ended = (one for one in self._newest_first() if one.status not in OPEN and listed(one))
        jobs = {one.workflow_id: one for one in (*is_open, *islice(ended, limit))}
        newest_first = sorted(jobs.values(), key=lambda one: one.created_at, reverse=True)
        return self._describe(newest_first, targets, limit if detailed is None else detailed)

    @_answered()
    def find(self, target_id: str) -> JobStatus | None:
        """The latest job for a dataset, model or run; None where there never was one."""
        for job in self._newest_first():
            if job.attributes["target_id"] == target_id:
                return self._describe([job], self._targets())[0]
        return None

    @_answered()
    def cancel(self, job_id: str) -> None:
        """End a waiting or running job. What it has finished is kept; within 5 s nothing computes any more.

        Raises:
            NotFoundError: There is no such job.
            ConflictError: It has ended already.
        """
        job = self.get(job_id)
        if job.state.is_final:
            raise ConflictError(f"The job {job_id} is {job.state} already; there is nothing to cancel.")
        self._client.cancel_workflow(job_id)

    @_answered()
    def retry(self, job_id: str) -> None:
        """Put a failed or cancelled job into the queue again. It goes on from what is finished.

        Raises:
            NotFoundError: There is no such job.
            ConflictError: It is not failed or cancelled, or a later job does the same.
        """
        job = self.get(job_id)
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            raise ConflictError(f"The job {job_id} is {job.state}; only failed and cancelled jobs can go on.")
        target_directory(self._workspace.layout, job.kind, job.target_id)
        other = self._open_job(job.kind, job.target_id)
        if other is not None:
            raise ConflictError(
                f"The job {other} does the same as {job_id} and has not ended. Follow that one."
            )
        try:
            # From the first step: a recorded failure must not be replayed. Finished stages return at once.
            self._client.rewind_workflow(job_id, start_step=1, queue_name=QUEUE_OF[job.kind])
        except queue_error.DBOSException as error:
            raise ConflictError(
                f"The job {job_id} was put into the queue by somebody else a moment ago.", detail=str(error)
            ) from error

    @_answered()
    def workers(self) -> Workers:
        """Every worker that is alive or died without leaving, by name."""
        return self._heartbeats.all()

    def log(self, job_id: str) -> str:
        """What the processes of a job's stages printed, the end of it, stage by stage."""
        job = self.get(job_id)
        directory = directory_of(self._workspace.layout, job.kind, job.target_id)
        texts = []
        for stage in self._plans[job.kind]:
            path = log_file(directory, stage.name)
            if path.is_file():
                with path.open("rb") as stream:
                    size = stream.seek(0, 2)
                    stream.seek(max(0, size - _LOG_BYTES))
                    texts.append(f"== {stage.name}\n{stream.read().decode(errors='replace')}")
        return "\n".join(texts)

    def _open_job(self, kind: JobKind, target_id: str) -> str | None:
        """The waiting or running job for a target.

        The queue's library looks for duplicates itself, but forgets that of a job which was put back.
        """
        sought = {"kind": kind.value, "target_id": target_id}
        for one in self._workflows(status=OPEN, load_output=False):
            if one.attributes == sought:
                job_id: str = one.workflow_id
                return job_id
        return None

    def _workflows(self, **where: Any) -> Workflows:
        found: Workflows = self._client.list_workflows(name=WORKFLOW, load_input=False, **where)
        return found

    def _newest_first(self) -> Iterator[Any]:
        """All workflows, read page by page."""
        # The queue's library filters by attributes on PostgreSQL only. 500 jobs are read in about 10 ms.
        for offset in count(0, _PAGE):
            page = self._workflows(limit=_PAGE, offset=offset, sort_desc=True)
            yield from page
            if len(page) < _PAGE:
                return

    def _targets(self) -> Targets:
        select = self._workspace.catalogue.select
        things: tuple[Target, ...] = (*select(Dataset), *select(Model), *select(Run), *select(Experiment))
        return {thing.id: thing for thing in things}

    def _describe(self, workflows: Workflows, targets: Targets, detailed: int = 1) -> Jobs:
        """The status of each; of those that have ended, the first so many in detail."""
        positions = self._queue_positions() if any(one.status == "ENQUEUED" for one in workflows) else {}
        layout, plans = self._workspace.layout, self._plans
        ended = [one.workflow_id for one in workflows if one.status not in OPEN]
        brief = frozenset(ended[detailed:])
        return [
            describe(
                one,
                layout,
                plans,
                targets,
                positions.get(one.workflow_id),
                detailed=one.workflow_id not in brief,
            )
            for one in workflows
        ]

    def _queue_positions(self) -> Mapping[str, int]:
        waiting: dict[str, Ids] = {}
        for one in self._workflows(status="ENQUEUED", load_output=False):
            waiting.setdefault(one.queue_name, []).append(one.workflow_id)
        return {job: place for jobs in waiting.values() for place, job in enumerate(jobs, 1)}
