"""The Jobs page: of how many jobs its figures are, and how often it asks the queue."""

import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import components
from app.components import KeyFigure
from app.services import jobs
from bioprune_core.jobs import JobClient, JobKind, JobState, JobStatus, WorkerStatus
from bioprune_core.workspace import Workspace

PAGE = Path(__file__).resolve().parents[2] / "pages" / "jobs.py"


def _job(number: int, state: JobState) -> JobStatus:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    nothing = (None, None, None, None, "", (), None, None, None)
    return JobStatus(f"job-{number}", JobKind.SCORE, "run", "project", "run", state, now, *nothing)


@pytest.mark.parametrize(("done", "said"), [(198, ""), (199, "of the latest 200 that ended")])
def test_what_ended_is_counted_among_the_latest_only_where_there_may_be_more(
    monkeypatch: pytest.MonkeyPatch, done: int, said: str
) -> None:
    shown: list[KeyFigure] = []
    monkeypatch.setattr(components, "key_figures", shown.extend)
    page = runpy.run_path(str(PAGE))
    states = [*[JobState.DONE] * done, JobState.FAILED, JobState.RUNNING]
    page["_figures"]([_job(number, state) for number, state in enumerate(states)], [])
    figures = {each.label: (each.value, each.comment) for each in shown}
    assert figures["Done"] == (f"{done:,}", said)
    assert figures["Failed"] == ("1", said)
    assert figures["Running"] == ("1", "")


def test_a_run_of_the_page_asks_the_queue_once_and_its_live_part_anew_after_that(
    served: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pool.fasta").write_text(">a\nACGU\n")
    dataset = served.create_dataset(served.create_project("Sample"), "pool", [tmp_path / "pool.fasta"])
    jobs().cancel(jobs().enqueue(JobKind.INGEST, dataset.id))
    asked: list[tuple[object, ...]] = []
    original = JobClient.list

    def listed(client: JobClient, *arguments: object) -> list[JobStatus]:
        asked.append(arguments)
        return original(client, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(JobClient, "list", listed)
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.run()
    assert not page.exception
    # The files of the 50 that it lists are read, and with the next look of its live part none.
    assert asked == [(None, 200, 50)]
    module = runpy.run_path(str(PAGE))
    found = module["_look"](None, 50)
    handed = [found]
    assert module["_next"](None, handed) is found
    assert module["_next"](None, handed).listed[0].stages == ()
    assert asked[-1] == (None, 200, 0)


def test_a_worker_that_is_busy_for_another_project_is_said_to_be_so_by_name(
    served: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pool.fasta").write_text(">a\nACGU\n")
    here, there = (served.create_project(name) for name in ("here", "there"))
    made = served.create_dataset(there, "their pool", [tmp_path / "pool.fasta"])
    job, now = jobs().enqueue(JobKind.INGEST, made.id), datetime(2026, 11, 23, tzinfo=UTC)
    busy = WorkerStatus("bench", "lab", 1, now, now, True, (job,))
    monkeypatch.setattr(JobClient, "workers", lambda _: [busy])
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params["project"] = here.id
    page.run()
    assert not page.exception
    [workers] = [each.proto.body for each in page.get("html") if "Working on" in each.proto.body]
    assert "Ingest their pool" in workers
    assert job not in workers
