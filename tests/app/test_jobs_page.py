"""The figures of the Jobs page say of how many jobs they are."""

import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import components
from app.components import KeyFigure
from bioprune_core.jobs import JobKind, JobState, JobStatus

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
