"""Calling idle workers to help with a stage, and sending them home when it ends."""

import time
from datetime import datetime
from typing import Any

from dbos import DBOSClient
from sqlalchemy.exc import DBAPIError

from bioprune_core.jobs.database import APPLICATION_VERSION, WORKFLOW, help_queue
from bioprune_core.jobs.heartbeats import Heartbeats
from bioprune_core.jobs.kinds import JobKind, Stage, help_target
from bioprune_core.workspace.names import new_id

__all__ = ["Crew"]

_CALL_S = 3.0
_OPEN = ("ENQUEUED", "PENDING")

Helper = tuple[str, datetime]
"""A worker's name and its start: one that was started anew may fare better, perhaps on another machine."""


class Crew:
    """The helpers of one stage of one job.

    A database that does not answer costs help, never the stage.

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
        self._called: dict[str, Helper] = {}  # By job, those that have not ended.
        self._spared: set[Helper] = set()
        self._last = time.monotonic()

    def call(self) -> None:
        """Ask every idle worker that has no call of this crew before it, now and then.

        One that failed, or found nothing to do, is not asked again: it would load the model for nothing.
        """
        if time.monotonic() - self._last < _CALL_S:
            return
        self._last = time.monotonic()
        try:
            self._take_note_of_ends()
            unavailable = self._spared | set(self._called.values())
            for worker in self._heartbeats.all():
                helper = (worker.name, worker.started)
                if worker.alive and not worker.job_ids and helper not in unavailable:
                    self._enqueue(helper)
        except DBAPIError:
            return  # It restarts, perhaps. The next call finds out.

    def dismiss(self) -> None:
        """Cancel what was called and has not ended."""
        try:
            for job in self._jobs():
                if job.status in _OPEN:
                    self._client.cancel_workflow(job.workflow_id)
        except DBAPIError:
            return  # Helpers end by themselves where nothing is left to do.

    def _take_note_of_ends(self) -> None:
        jobs = self._jobs()
        for job in jobs:
            # False, not None: a stage may not know whether anything is left to do.
            if job.status == "ERROR" or (job.status == "SUCCESS" and job.output is False):
                self._spared.add(self._called[job.workflow_id])
        self._called = {job.workflow_id: self._called[job.workflow_id] for job in jobs if job.status in _OPEN}

    def _jobs(self) -> list[Any]:
        if not self._called:
            return []
        found: list[Any] = self._client.list_workflows(workflow_ids=list(self._called), load_input=False)
        return found

    def _enqueue(self, helper: Helper) -> None:
        job_id = new_id("help")
        # Before it is there: were the answer lost, it would have to be dismissed all the same.
        self._called[job_id] = helper
        self._client.enqueue(
            {
                "queue_name": help_queue(helper[0]),
                "workflow_name": WORKFLOW,
                "workflow_id": job_id,
                "app_version": APPLICATION_VERSION,
                "attributes": {"kind": JobKind.HELP.value, "target_id": self._target},
            },
            JobKind.HELP.value,
            self._target,
        )
