"""Calling idle workers to help with a stage, and sending them home when it ends."""

import time
from typing import Any

from dbos import DBOSClient

from bioprune_core.jobs.database import APPLICATION_VERSION, WORKFLOW, help_queue
from bioprune_core.jobs.heartbeats import Heartbeats
from bioprune_core.jobs.kinds import JobKind, Stage, help_target
from bioprune_core.workspace.names import new_id

__all__ = ["Crew"]

_CALL_S = 3.0
_OPEN = ("ENQUEUED", "PENDING")
_MOST_FAILURES = 3
"""After so many failed helpers no more are called: what one meets, the next one meets too."""


class Crew:
    """The helpers of one stage of one job.

    Args:
        client: The queue.
        heartbeats: Tells who is alive and idle.
        target_id: Id of the run.
        stage: The stage, one with `help`.
    """

    def __init__(self, client: DBOSClient, heartbeats: Heartbeats, target_id: str, stage: Stage) -> None:
        self._client = client
        self._heartbeats = heartbeats
        self._target = help_target(target_id, stage)
        self._called: dict[str, str] = {}  # Job to worker.
        self._last = time.monotonic()

    def call(self) -> None:
        """Ask every idle worker that has no call of this crew before it, now and then."""
        if time.monotonic() - self._last < _CALL_S:
            return
        self._last = time.monotonic()
        jobs = self._jobs()
        if sum(job.status == "ERROR" for job in jobs) >= _MOST_FAILURES:
            return
        asked = {self._called[job.workflow_id] for job in jobs if job.status in _OPEN}
        for worker in self._heartbeats.all():
            if worker.alive and not worker.job_ids and worker.name not in asked:
                self._called[self._enqueue(worker.name)] = worker.name

    def dismiss(self) -> None:
        """Cancel what was called and has not ended."""
        for job in self._jobs():
            if job.status in _OPEN:
                self._client.cancel_workflow(job.workflow_id)

    def _jobs(self) -> list[Any]:
        if not self._called:
            return []
        found: list[Any] = self._client.list_workflows(
            workflow_ids=list(self._called), load_input=False, load_output=False
        )
        return found

    def _enqueue(self, worker: str) -> str:
        job_id = new_id("help")
        self._client.enqueue(
            {
                "queue_name": help_queue(worker),
                "workflow_name": WORKFLOW,
                "workflow_id": job_id,
                "app_version": APPLICATION_VERSION,
                "attributes": {"kind": JobKind.HELP.value, "target_id": self._target},
            },
            JobKind.HELP.value,
            self._target,
        )
        return job_id
