"""Jobs: what is running and waiting, what ended how, and the workers that do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import streamlit as st

from app.components import (
    Html,
    KeyFigure,
    empty_state,
    key_figures,
    list_figure,
    list_head,
    note,
    page_header,
    state_html,
    table,
)
from app.context import current_project, jobs, workspace
from app.formatting import duration, time_html
from app.job_views import job_buttons, job_card, job_title, run_page_again, show_log, worker_hint
from bioprune_core.jobs import JobState, JobStatus, WorkerStatus
from bioprune_core.workspace import Project

_SHOWN, _COUNTED = 50, 200
"""How many ended jobs are listed and looked at."""
_COLUMNS = {"Job": 4.0, "State": 1.5, "Project": 2.4, "Ended": 1.8, "Took": 1.4, "": 2.2}
_HERE, _EVERYWHERE = "This project", "All projects"


@dataclass(frozen=True, slots=True)
class _Queue:
    """What one look at the queue found."""

    listed: list[JobStatus]
    workers: list[WorkerStatus]
    projects: Mapping[str, str]

    @property
    def ended(self) -> list[JobStatus]:
        return [job for job in self.listed if job.state.is_final]


def _look(project: Project | None, detailed: int = 0) -> _Queue:
    """Ask the queue, with the files of the latest `detailed` jobs that have ended."""
    listed = jobs().list(project.id if project else None, _COUNTED, detailed)
    return _Queue(listed, jobs().workers(), {each.id: each.name for each in workspace().projects()})


def render() -> None:
    """Draw the page."""
    project = current_project()
    page_header("Jobs", trail=[project.name] if project else [])
    if project is not None:
        scope = st.segmented_control(
            "Which jobs",
            [_HERE, _EVERYWHERE],
            default=_HERE,
            required=True,
            key="jobs",
            bind="query-params",
            label_visibility="collapsed",
        )
        project = project if scope == _HERE else None
    queue = _look(project, _SHOWN)
    _live(project, frozenset(job.id for job in queue.ended), [queue])
    if not queue.listed:
        empty_state(
            "No jobs yet",
            "Reading a dataset, training a model and scoring run as jobs. They are started from their pages "
            "and appear here with their progress.",
        )
    else:
        _ended(queue, with_project=project is None)
    _workers(queue)


@st.fragment(run_every=2.0)
def _live(project: Project | None, ended: frozenset[str], handed: list[_Queue]) -> None:
    """Key figures and the jobs at work; the page runs again when one has ended.

    Args:
        project: Whose jobs; all when None.
        ended: Those that the page shows as ended.
        handed: What the page's run found; taken out by its own drawing, so that later ones look again.
    """
    queue = _next(project, handed)
    if frozenset(job.id for job in queue.ended) != ended:
        run_page_again()
    _figures(queue.listed, queue.workers)
    worker_hint(queue.workers)
    running = [job for job in queue.listed if job.state is JobState.RUNNING]
    waiting = sorted(
        (job for job in queue.listed if job.state is JobState.QUEUED), key=lambda job: job.queue_position or 0
    )
    for job in [*running, *waiting]:
        job_card(job, queue.projects.get(job.project_id or "", ""))


def _next(project: Project | None, handed: list[_Queue]) -> _Queue:
    """What was handed over, the first time, and what is found anew after that."""
    return handed.pop() if handed else _look(project)


def _figures(listed: list[JobStatus], workers: list[WorkerStatus]) -> None:
    def number(state: JobState) -> str:
        return f"{sum(job.state is state for job in listed):,}"

    ended = sum(job.state.is_final for job in listed)
    among = f"of the latest {_COUNTED} that ended" if ended >= _COUNTED else ""
    key_figures(
        [
            KeyFigure("Running", number(JobState.RUNNING)),
            KeyFigure("Waiting", number(JobState.QUEUED)),
            KeyFigure("Done", number(JobState.DONE), comment=among),
            KeyFigure("Failed", number(JobState.FAILED), comment=among),
            KeyFigure("Workers alive", f"{sum(worker.alive for worker in workers):,}"),
        ]
    )


def _ended(queue: _Queue, with_project: bool) -> None:
    ended = queue.ended
    if not ended:
        return
    st.header("Ended", anchor=False)
    with st.container(key="list-jobs", gap=None):
        columns = {name: width for name, width in _COLUMNS.items() if with_project or name != "Project"}
        list_head(columns, ["Took"])
        for job in ended[:_SHOWN]:
            _row(job, columns, queue.projects.get(job.project_id or "", "deleted"))
    if len(ended) > _SHOWN:
        of = f" of {len(ended):,}" if len(ended) < _COUNTED else ""
        note(f"The latest {_SHOWN}{of} ended jobs are shown.")


def _row(job: JobStatus, columns: dict[str, float], project: str) -> None:
    with st.container(key=f"row-{job.id}", gap=None):
        row = st.columns(list(columns.values()), vertical_alignment="center")
        cells = dict(zip(columns, row, strict=True))
        cells["Job"].html(f'<span class="bp-cell">{escape(job_title(job))}</span>')
        cells["State"].html(state_html(job.state))
        if "Project" in cells:
            cells["Project"].html(f'<span class="bp-cell">{escape(project)}</span>')
        cells["Ended"].html(time_html(job.finished or job.created))
        if job.started and job.finished:
            took = duration((job.finished - job.started).total_seconds())
            cells["Took"].html(list_figure(took))
        with cells[""], st.container(horizontal=True, horizontal_alignment="right"):
            if job.target_name is not None:
                job_buttons(job, job.id)
            if st.button("Log", key=f"log-{job.id}", type="tertiary"):
                show_log(job)
        if job.error:
            st.html(f'<p class="bp-field-error bp-wide">{escape(job.error)}</p>')


def _workers(queue: _Queue) -> None:
    if not queue.workers:
        return
    st.header("Workers", anchor=False)
    known = queue.listed
    busy = {job for worker in queue.workers for job in worker.job_ids}
    if not busy <= {job.id for job in known}:
        known = jobs().list(limit=0)  # They work for other projects too.
    titles = {job.id: job_title(job) for job in known}
    table(
        ["Name", "Machine", "State", "Last heartbeat", "Running since", "Working on"],
        [
            [
                worker.name,
                worker.host,
                state_html("done" if worker.alive else "failed", "alive" if worker.alive else "silent"),
                Html(time_html(worker.seen)),
                Html(time_html(worker.started)),
                ", ".join(titles.get(job, job) for job in worker.job_ids) or "nothing",
            ]
            for worker in queue.workers
        ],
    )


if __name__ == "__main__":
    render()
