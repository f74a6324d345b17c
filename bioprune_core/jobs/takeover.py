"""Giving jobs back to the queue: one's own when leaving, those of the dead when their lease has ended."""

from typing import Any

from dbos import DBOSClient

from bioprune_core.jobs.database import QUEUE_OF, WORKFLOW
from bioprune_core.jobs.heartbeats import Heartbeats, Watch
from bioprune_core.jobs.kinds import JobKind

__all__ = ["hand_back", "take_over"]

_NO_BEAT = -1
"""The count of a worker that has jobs but no row: it died between claiming and resuming a dead one's jobs."""


def hand_back(client: DBOSClient, name: str) -> list[str]:
    """Put the running jobs of a worker into the queue again; their ids. Its help for others ends."""
    handed = []
    for job in _pending(client, executor_id=name):
        kind = JobKind(job.attributes["kind"])
        if kind is JobKind.HELP:
            # As long as the call is open the helper is not called again: one that comes back would stay idle.
            client.cancel_workflow(job.workflow_id)
        else:
            client.resume_workflow(job.workflow_id, queue_name=QUEUE_OF[kind])
            handed.append(job.workflow_id)
    return handed


def take_over(client: DBOSClient, heartbeats: Heartbeats, watch: Watch) -> list[str]:
    """Put the jobs of dead workers into the queue again; their ids. One living worker does it for each."""
    counts = heartbeats.counts()
    for job in _pending(client):
        counts.setdefault(job.executor_id, _NO_BEAT)
    taken: list[str] = []
    for name, beat in watch.dead(counts).items():
        if beat == _NO_BEAT or heartbeats.remove(name, beat):
            taken += hand_back(client, name)
    return taken


def _pending(client: DBOSClient, **where: Any) -> list[Any]:
    found: list[Any] = client.list_workflows(
        name=WORKFLOW, status="PENDING", load_input=False, load_output=False, **where
    )
    return found
