"""A run that is not done: who works on it, and how it goes on, also where a command computes it."""

from pathlib import Path

import pytest
from streamlit.runtime import fragment
from streamlit.testing.v1 import AppTest
from workspace_samples import SEQUENCES, finish_dataset, random_sequences

from app.services import jobs
from bioprune_core.jobs import JobKind
from bioprune_core.progress import Progress
from bioprune_core.workspace import EventKind, EventLog, Run, Workspace
from bioprune_core.workspace.locks import JOB_LOCK, hold


def _page(run_id: str) -> None:
    from app.run_views import progress_view
    from app.services import workspace
    from app.unfinished import unfinished_view
    from bioprune_core.jobs import JobKind

    run = workspace().run(run_id)
    unfinished_view(run, JobKind.SCORE, lambda: progress_view(run))


@pytest.fixture
def run(served: Workspace, tmp_path: Path) -> Run:
    (tmp_path / "pool.fasta").write_text(">a\nACGU\n")
    project = served.create_project("Sample")
    dataset = served.create_dataset(project, "pool", [tmp_path / "pool.fasta"])
    finish_dataset(served, dataset, random_sequences(SEQUENCES))
    model = served.add_model(project, "tiny", "tiny-model")
    return served.create_run(served.plan_run(dataset, model, 50))


@pytest.fixture
def log(served: Workspace, run: Run) -> EventLog:
    return EventLog(served.directory(run), interval_s=0)


def _draw(run: Run) -> AppTest:
    page = AppTest.from_function(_page, kwargs={"run_id": run.id}).run(timeout=60)
    assert not page.exception
    return page


def _text(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


def test_a_planned_run_offers_to_start(run: Run) -> None:
    page = _draw(run)
    assert "Not started" in _text(page)
    assert [button.label for button in page.button] == ["Start scoring"]
    page.button[0].click().run(timeout=60)
    job = jobs().find(run.id)
    assert job is not None and job.kind is JobKind.SCORE


def test_what_a_command_computes_is_shown_at_work_and_offers_no_start(
    served: Workspace, run: Run, log: EventLog
) -> None:
    log.write(EventKind.STARTED)
    for step in (1, 2):
        log.report(Progress("fine-tune", step, 8, "steps", {"loss": 1.0}))
    with hold(served.directory(run) / JOB_LOCK, "run"):
        page = _draw(run)
        assert "Interrupted" not in _text(page)
        assert "Fine-tuning on the subset" in _text(page) and "2 of 8 steps" in _text(page)
        assert not page.button
        assert len(page.get("plotly_chart")) == 1
    # The command ended: the state is another, and the next look at it says so.
    assert "Interrupted" in _text(page.run(timeout=60))


def test_a_command_that_failed_is_shown_with_its_reason(run: Run, log: EventLog) -> None:
    log.write(EventKind.STARTED)
    log.write(EventKind.FAILED, "score", "The disk is full.")
    page = _draw(run)
    assert "Failed" in _text(page) and "The disk is full." in _text(page)
    assert [button.label for button in page.button] == ["Try again"]


def _dataset_page(dataset_id: str) -> None:
    from app.services import workspace
    from app.unfinished import unfinished_view
    from bioprune_core.jobs import JobKind

    unfinished_view(workspace().dataset(dataset_id), JobKind.INGEST, lambda: None)


def test_a_dataset_that_a_command_reads_offers_no_second_reading(served: Workspace, tmp_path: Path) -> None:
    (tmp_path / "pool.fasta").write_text(">a\nACGU\n")
    dataset = served.create_dataset(served.create_project("Sample"), "pool", [tmp_path / "pool.fasta"])
    page = AppTest.from_function(_dataset_page, kwargs={"dataset_id": dataset.id}).run(timeout=60)
    assert [button.label for button in page.button] == ["Read the files"]
    with hold(served.directory(dataset) / JOB_LOCK, "dataset"):
        page.run(timeout=60)
        assert "A command works on this" in _text(page)
        assert not page.button


@pytest.fixture
def repeats(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds after which parts of the page are to be drawn again."""
    told: list[float] = []
    monkeypatch.setattr(fragment, "time_to_seconds", lambda every: told.append(every) or every)
    return told


@pytest.mark.parametrize("kind", [EventKind.FAILED, EventKind.CANCELLED, EventKind.INTERRUPTED])
def test_a_run_that_ended_is_drawn_once(
    run: Run, log: EventLog, repeats: list[float], kind: EventKind
) -> None:
    log.report(Progress("fine-tune", 1, 8, "steps", {"loss": 1.0}))
    log.write(kind, "fine-tune")
    page = _draw(run)
    assert len(page.get("plotly_chart")) == 1
    assert not repeats


def test_a_run_that_waits_is_drawn_again_and_again(run: Run, repeats: list[float]) -> None:
    jobs().enqueue(JobKind.SCORE, run.id)
    assert "next in the queue" in _text(_draw(run))
    assert repeats
