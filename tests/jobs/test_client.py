"""The queue seen from outside, with no worker at all."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from worker_yard import Yard

from bioprune_core.errors import ConflictError, StorageError
from bioprune_core.jobs import JobClient, JobKind, JobState
from bioprune_core.workspace import Workspace


def test_a_job_that_goes_on_is_not_queued_a_second_time(yard: Yard) -> None:
    yard.target("run-1")
    with yard.client() as client:
        job = client.enqueue(JobKind.SCORE, "run-1")
        client.cancel(job)
        client.retry(job)
        assert client.enqueue(JobKind.SCORE, "run-1") == job
        assert [each.id for each in client.list()] == [job]


def test_a_job_does_not_go_on_beside_a_later_one_for_the_same_target(yard: Yard) -> None:
    yard.target("run-1")
    with yard.client() as client:
        first = client.enqueue(JobKind.SCORE, "run-1")
        client.cancel(first)
        later = client.enqueue(JobKind.SCORE, "run-1")
        with pytest.raises(ConflictError, match=f"{later} does the same"):
            client.retry(first)
        assert client.get(first).state is JobState.CANCELLED


def test_a_project_lists_its_jobs_however_many_of_others_are_newer(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioprune_core.jobs.client._PAGE", 2)
    file = tmp_path / "pool.fasta"
    file.write_text(">a\nACGU\n")
    projects = [workspace.create_project(name) for name in ("small", "busy")]
    small, busy = (workspace.create_dataset(project, "pool", [file]) for project in projects)
    with JobClient(workspace) as client:
        ended = [client.enqueue(JobKind.INGEST, small.id)]
        client.cancel(ended[0])
        waiting = client.enqueue(JobKind.INGEST, small.id)
        for _ in range(5):
            ended.append(client.enqueue(JobKind.INGEST, busy.id))
            client.cancel(ended[-1])
        # In no certain order: the queue keeps times to the second.
        assert {job.id for job in client.list(projects[0].id, limit=1)} == {waiting, ended[0]}
        assert [job.id for job in client.list(limit=0)] == [waiting]
        assert waiting in {job.id for job in client.list(projects[0].id, limit=0)}
        assert len(client.list(limit=3)) == 4
        assert {job.id for job in client.list()} == {waiting, *ended}


def test_of_the_jobs_that_ended_as_many_are_looked_into_as_wanted(yard: Yard) -> None:
    with yard.client() as client:
        for name in ("run-1", "run-2", "run-3"):
            yard.target(name)
            client.cancel(client.enqueue(JobKind.SCORE, name))
        yard.target("run-4")
        waiting = client.enqueue(JobKind.SCORE, "run-4")
        for wanted in (0, 1, 3):
            found = client.list(detailed=wanted)
            ended = [job for job in found if job.state.is_final]
            assert [bool(job.stages) for job in ended] == [place < wanted for place in range(3)]
            assert [bool(job.stages) for job in found if job.id == waiting] == [True]
        assert all(job.stages for job in client.list())


def test_a_database_that_does_not_answer_is_told_of_at_once(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.target("run-1")
    with yard.client() as client:
        nowhere = sa.create_engine("postgresql+psycopg://someone@127.0.0.1:9/none")
        monkeypatch.setattr(client._client._sys_db, "engine", nowhere)
        monkeypatch.setattr("dbos._sys_db.time.sleep", lambda _: pytest.fail("It waits and tries again."))
        for ask in (client.list, lambda: client.get("job-1"), lambda: client.enqueue(JobKind.SCORE, "run-1")):
            with pytest.raises(StorageError, match="does not answer"):
                ask()
