"""Jobs: what is running and waiting, what ended how, and the workers that do it."""

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
from app.job_views import job_buttons, job_card, job_title, show_log, worker_hint
from bioprune_core.jobs import JobState, JobStatus, WorkerStatus
from bioprune_core.workspace import Project

_SHOWN, _COUNTED = 50, 200
"""How many ended jobs are listed and looked at."""
_COLUMNS = {"Job": 4.0, "State": 1.5, "Project": 2.4, "Ended": 1.8, "Took": 1.4, "": 2.2}
_HERE, _EVERYWHERE = "This project", "All projects"


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
    listed = jobs().list(project.id if project else None, _COUNTED)
    ended = [job for job in listed if job.state.is_final]
    _live(project, frozenset(job.id for job in ended))
    if not listed:
        empty_state(
            "No jobs yet",
            "Reading a dataset, training a model and scoring run as jobs. They are started from their pages "
            "and appear here with their progress.",
        )
    else:
        _ended(ended, with_project=project is None)
    _workers()


@st.fragment(run_every=2.0)
def _live(project: Project | None, ended: frozenset[str]) -> None:
    """Key figures and the jobs at work; the page runs again when one has ended."""
    listed = jobs().list(project.id if project else None, _COUNTED)
    if frozenset(job.id for job in listed if job.state.is_final) != ended:
        st.rerun()
    workers = jobs().workers()
    _figures(listed, workers)
    worker_hint(workers)
    running = [job for job in listed if job.state is JobState.RUNNING]
    waiting = sorted(
        (job for job in listed if job.state is JobState.QUEUED), key=lambda job: job.queue_position or 0
    )
    names = _project_names()
    for job in [*running, *waiting]:
        job_card(job, names.get(job.project_id or "", ""))


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


def _ended(ended: list[JobStatus], with_project: bool) -> None:
    if not ended:
        return
    st.header("Ended", anchor=False)
    names = _project_names()
    with st.container(key="list-jobs", gap=None):
        columns = {name: width for name, width in _COLUMNS.items() if with_project or name != "Project"}
        list_head(columns, ["Took"])
        for job in ended[:_SHOWN]:
            _row(job, columns, names.get(job.project_id or "", "deleted"))
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


def _workers() -> None:
    workers = jobs().workers()
    if not workers:
        return
    st.header("Workers", anchor=False)
    titles = {job.id: job_title(job) for job in jobs().list()}
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
            for worker in workers
        ],
    )


def _project_names() -> dict[str, str]:
    return {project.id: project.name for project in workspace().projects()}


if __name__ == "__main__":
    render()
