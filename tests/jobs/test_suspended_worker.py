"""A job whose worker neither goes on nor ends: its lock outlives its heartbeat."""

import os
import signal
import time
from pathlib import Path

from tiny_stages import SHARDS
from worker_yard import Yard, suspend, until, wait_for_state

from bioprune_core.jobs import JobClient, JobKind, JobState
from bioprune_core.workspace import EventKind, State, read_events, state_of


def left_suspended(
    yard: Yard, client: JobClient, target: Path, begun: str = "shards/0.txt"
) -> tuple[str, int]:
    """A job that one worker began before it was suspended, and another took over; the first one's process."""
    job = client.enqueue(JobKind.SCORE, target.name)
    first = yard.start("first")
    until((target / begun).exists, "what the first worker does")
    suspend(first, yard.workspace.layout.jobs_file)
    yard.start("second")
    until(lambda: client.get(job).worker == "second", "the take-over")
    return job, first.pid


def notes(target: Path) -> list[str]:
    return [event.message for event in read_events(target) if event.kind is EventKind.NOTE]


def test_a_live_worker_takes_over_what_a_suspended_one_holds(yard: Yard) -> None:
    """The suspended one, awake again, finds its job in other hands and lets it go."""
    target = yard.target("run-1", seconds_per_shard=1.0)
    with yard.client() as client:
        job, first = left_suspended(yard, client, target)
        os.kill(first, signal.SIGCONT)
        assert wait_for_state(client, job, JobState.DONE).worker == "second"
        until(lambda: len(client.workers()) == 2, "the first to beat again")
    assert state_of(target) is State.DONE


def test_a_worker_says_for_whom_it_waits_and_goes_on_when_that_one_ends(yard: Yard) -> None:
    target = yard.target("run-1", seconds_per_shard=0.3)
    with yard.client() as client:
        job, first = left_suspended(yard, client, target)
        until(lambda: notes(target), "the sentence")
        assert f"Waits for another process that holds run run-1 (process {first} on" in notes(target)[0]
        assert client.get(job).state is JobState.RUNNING
        os.kill(first, signal.SIGKILL)
        assert wait_for_state(client, job, JobState.DONE).worker == "second"
    assert len(notes(target)) == 1
    assert EventKind.FAILED not in {event.kind for event in read_events(target)}
    assert len((target / "computed.txt").read_text().split()) <= SHARDS + 1


def test_a_job_that_waits_for_a_suspended_worker_can_be_cancelled(yard: Yard) -> None:
    target = yard.target("run-1", seconds_per_shard=5)
    yard.target("run-2")
    with yard.client() as client:
        job, _ = left_suspended(yard, client, target, begun="stages/quick.json")
        client.cancel(job)
        asked = time.monotonic()
        # The worker is free for the next.
        wait_for_state(client, client.enqueue(JobKind.SCORE, "run-2"), JobState.DONE)
        assert time.monotonic() - asked < 20
        assert client.get(job).state is JobState.CANCELLED


def test_a_worker_that_waits_for_a_suspended_one_leaves_when_asked(yard: Yard) -> None:
    target = yard.target("run-1", seconds_per_shard=0.3)
    with yard.client() as client:
        job, _ = left_suspended(yard, client, target)
        second = yard.workers[1]
        second.send_signal(signal.SIGTERM)
        assert second.wait(timeout=20) == 0
        assert client.get(job).state is JobState.QUEUED
    assert state_of(target) is State.RUNNING  # The suspended one holds it still.
