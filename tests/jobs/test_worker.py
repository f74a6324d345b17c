"""Real worker processes over tiny stages."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tiny_stages import SHARDS
from worker_yard import Yard, until, wait_for_state

from bioprune_core.errors import ConflictError, NotFoundError
from bioprune_core.jobs import JobKind, JobState
from bioprune_core.workspace import EventKind, State, read_events, state_of


def test_jobs_are_done_in_the_order_of_the_queue_and_say_their_place(yard: Yard) -> None:
    for name in ("run-1", "run-2", "run-3"):
        yard.target(name)
    with yard.client() as client:
        jobs = [client.enqueue(JobKind.SCORE, name) for name in ("run-1", "run-2", "run-3")]
        assert [client.get(job).queue_position for job in jobs] == [1, 2, 3]
        assert client.enqueue(JobKind.SCORE, "run-2") == jobs[1]  # Waiting already: the same job.
        yard.start()
        done = [wait_for_state(client, job, JobState.DONE) for job in jobs]
        assert [job.id for job in client.list()] == jobs[::-1]
        assert client.find("run-2") == done[1]
    starts = [job.started for job in done]
    assert starts == sorted(starts, key=lambda time: (time is None, time))
    assert all(stage.is_finished for job in done for stage in job.stages)


def test_a_failed_job_says_why_and_goes_on_when_retried(yard: Yard) -> None:
    target = yard.target("run-1")
    with yard.client("quick", "shards", "refuse_once", "manifest") as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        yard.start()
        failed = wait_for_state(client, job, JobState.FAILED)
        assert (failed.error, failed.stage) == ("Not this time.", "refuse-once")
        assert "InputError: Not this time." in client.log(job)
        with pytest.raises(ConflictError, match="nothing to cancel"):
            client.cancel(job)
        client.retry(job)
        wait_for_state(client, job, JobState.DONE)
        with pytest.raises(ConflictError, match="only failed and cancelled"):
            client.retry(job)
    assert (target / "computed.txt").read_text().split() == [str(shard) for shard in range(SHARDS)]


def test_a_cancelled_job_stops_within_five_seconds_and_can_be_resumed(yard: Yard) -> None:
    target = yard.target("run-1", seconds_per_shard=0.3)
    with yard.client() as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        yard.start()
        until((target / "shards" / "1.txt").exists, "the second shard")
        client.cancel(job)
        asked = time.monotonic()
        until(lambda: state_of(target) is State.CANCELLED, "the stage to stop")
        assert time.monotonic() - asked < 5
        assert client.get(job).state is JobState.CANCELLED
        client.retry(job)
        wait_for_state(client, job, JobState.DONE)
    assert len((target / "computed.txt").read_text().split()) <= SHARDS + 1


def test_a_stage_that_ignores_the_request_is_killed(yard: Yard) -> None:
    target = yard.target("run-1")
    with yard.client("stubborn") as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        yard.start()
        until((target / "stubborn").exists, "the stage")
        client.cancel(job)
        asked = time.monotonic()
        until(lambda: state_of(target) is State.CANCELLED, "the stage to stop")
        assert time.monotonic() - asked < 5


def test_a_job_cancelled_and_resumed_at_once_is_not_lost(yard: Yard) -> None:
    target = yard.target("run-1", seconds_per_shard=0.3)
    with yard.client() as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        yard.start()
        until((target / "shards" / "1.txt").exists, "the second shard")
        client.cancel(job)
        client.retry(job)
        wait_for_state(client, job, JobState.DONE)
    assert len((target / "computed.txt").read_text().split()) <= SHARDS + 1


def test_a_waiting_job_can_be_cancelled(yard: Yard) -> None:
    yard.target("run-1")
    with yard.client() as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        client.cancel(job)
        assert client.get(job).state is JobState.CANCELLED


def test_a_worker_that_is_asked_to_leave_hands_its_job_back(yard: Yard) -> None:
    target = yard.target("run-1", seconds_per_shard=0.3)
    with yard.client() as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        worker = yard.start("first")
        until((target / "shards" / "1.txt").exists, "the second shard")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 0
        left = client.get(job)
        assert (left.state, left.queue_position) == (JobState.QUEUED, 1)
        assert client.enqueue(JobKind.SCORE, "run-1") == job
        assert client.workers() == []
        assert read_events(target)[-1].kind is EventKind.INTERRUPTED
        yard.start("second")
        assert wait_for_state(client, job, JobState.DONE).worker == "second"
    assert len((target / "computed.txt").read_text().split()) <= SHARDS + 1


@pytest.mark.parametrize("name", ["first", "second"])
def test_what_a_killed_worker_left_is_continued(yard: Yard, name: str) -> None:
    """By the same worker started again, or by another one once the lease has ended."""
    target = yard.target("run-1", seconds_per_shard=0.3)
    with yard.client() as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        worker = yard.start("first")
        until((target / "shards" / "1.txt").exists, "the second shard")
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        yard.start(name)
        assert wait_for_state(client, job, JobState.DONE).worker == name
        assert [worker.name for worker in client.workers()] == [name]
    assert len((target / "computed.txt").read_text().split()) <= SHARDS + 1


def test_reading_files_does_not_wait_for_a_long_scoring(yard: Yard) -> None:
    yard.target("run-1", seconds_per_shard=5.0)
    yard.target("dataset-1", JobKind.INGEST)
    with yard.client() as client:
        score = client.enqueue(JobKind.SCORE, "run-1")
        yard.start()
        wait_for_state(client, score, JobState.RUNNING)
        wait_for_state(client, client.enqueue(JobKind.INGEST, "dataset-1"), JobState.DONE)
        assert client.get(score).state is JobState.RUNNING


def test_two_workers_share_the_queue_and_one_name_is_one_worker(yard: Yard) -> None:
    with yard.client() as client:
        jobs = []
        for number in range(4):
            yard.target(f"run-{number}", seconds_per_shard=0.2)
            jobs.append(client.enqueue(JobKind.SCORE, f"run-{number}"))
        yard.start("first")
        yard.start("second")
        until(lambda: len(client.workers()) == 2, "both workers")
        same_name = yard.start("second")
        assert same_name.wait(timeout=30) == 1
        done = [wait_for_state(client, job, JobState.DONE) for job in jobs]
    assert {job.worker for job in done} == {"first", "second"}


def test_what_is_not_there_is_said_so(yard: Yard) -> None:
    with yard.client() as client:
        with pytest.raises(NotFoundError, match="no run run-9"):
            client.enqueue(JobKind.SCORE, "run-9")
        with pytest.raises(NotFoundError, match="no job job-9"):
            client.get("job-9")
        assert client.find("run-9") is None
        assert client.list() == []


def test_the_client_does_not_import_torch() -> None:
    script = "import sys; from bioprune_core.jobs import JobClient; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
