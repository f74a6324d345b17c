"""Catalogue, queue and heartbeats on a PostgreSQL server of the test's own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgresql_server import restart, server, stopped  # noqa: F401 - a fixture
from tiny_stages import ORDINARY, SHARDS, make_target, plans

from bioprune_core.errors import ConflictError
from bioprune_core.jobs import JobClient, JobKind, JobState
from bioprune_core.jobs.heartbeats import Heartbeats
from bioprune_core.settings import Settings
from bioprune_core.workspace import EventKind, Workspace, read_events

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def shared(
    server: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Workspace]:
    monkeypatch.setenv("BIOPRUNE_DATABASE_URL", server)
    opened = Workspace.open(tmp_path, Settings(workspace=tmp_path))
    yield opened
    opened.close()


def start(workspace: Workspace, name: str, *stages: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(TESTS / "tiny_worker.py"), str(workspace.root), name, "2"]
    command += stages or ORDINARY
    return subprocess.Popen(command)


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.05)


def test_the_catalogue_keeps_names_on_postgresql(shared: Workspace) -> None:
    project = shared.create_project("On a server")
    with pytest.raises(ConflictError, match="already"):
        shared.create_project("on a SERVER")
    again = Workspace.open(shared.root, shared.settings)
    assert again.project("on a server") == project
    assert not shared.layout.catalogue_file.exists()
    again.delete(project)
    again.close()


def test_a_worker_whose_clock_is_wrong_is_seen(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats have the time of the server, for a worker as for who looks."""
    beats, right = Heartbeats(shared), time.time
    with monkeypatch.context() as late:
        late.setattr(time, "time", lambda: right() - 3600)
        beats.beat("late", datetime.now(UTC), ["job"])
        beats.beat("late", datetime.now(UTC), ["job"])
    (found,) = beats.all()
    assert found.alive
    assert found.job_ids == ("job",)
    assert abs(found.seen.timestamp() - right()) < 60


def test_workers_share_the_queue_and_take_over_on_postgresql(shared: Workspace) -> None:
    target = shared.layout.run("run-1")
    make_target(target, seconds_per_shard=0.3)
    workers = []
    try:
        with JobClient(shared, plans(*ORDINARY)) as client:
            job = client.enqueue(JobKind.SCORE, "run-1")
            workers.append(start(shared, "first"))
            until((target / "shards" / "1.txt").exists, "the second shard")
            os.kill(workers[0].pid, signal.SIGKILL)
            workers.append(start(shared, "second"))
            until(lambda: client.get(job).state is JobState.DONE, "the job to be done")
            assert client.get(job).worker == "second"
            found = client.find("run-1")
            assert found is not None
            assert found.id == job
            make_target(shared.layout.run("run-2"), seconds_per_shard=2)
            cancelled = client.enqueue(JobKind.SCORE, "run-2")
            until(lambda: client.get(cancelled).state is JobState.RUNNING, "the next job")
            client.cancel(cancelled)
            client.retry(cancelled)
            until(lambda: client.get(cancelled).state is JobState.DONE, "the resumed job")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert len((target / "computed.txt").read_text().split()) <= SHARDS + 1
    assert not shared.layout.jobs_file.exists()


def test_a_stage_with_helpers_outlives_a_restart_of_the_server(shared: Workspace) -> None:
    target = shared.layout.run("run-1")
    make_target(target)
    stages = ("quick", "shared", "manifest")
    workers = []
    try:
        with JobClient(shared, plans(*stages)) as client:
            job = client.enqueue(JobKind.SCORE, "run-1")
            workers.append(start(shared, "first", *stages))
            until((target / "begun").exists, "the stage that can be shared")
            workers.append(start(shared, "second", *stages))
            until((target / "helper").exists, "the second worker to help")
            restart(shared.settings.database_url or "")
            assert client.get(job).state is JobState.RUNNING
            (target / "released").touch()
            until(lambda: client.get(job).state is JobState.DONE, "the job to be done")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    kinds = {event.kind for event in read_events(target)}
    assert not kinds & {EventKind.FAILED, EventKind.INTERRUPTED}


def test_a_worker_leaves_also_while_the_server_is_stopped(shared: Workspace) -> None:
    target = shared.layout.run("run-1")
    make_target(target, seconds_per_shard=0.3)
    with JobClient(shared, plans(*ORDINARY)) as client:
        client.enqueue(JobKind.SCORE, "run-1")
        worker = start(shared, "first")
        try:
            until((target / "shards" / "1.txt").exists, "the second shard")
            with stopped(shared.settings.database_url or ""):
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(timeout=60) == 0
            worker = start(shared, "first")
            until(lambda: client.list()[0].state is JobState.DONE, "the job to be done")
        finally:
            worker.kill()
            worker.wait()
