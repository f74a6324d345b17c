"""How a job is shown and steered, the same on every page."""

import shlex
from collections.abc import Sequence
from html import escape

import streamlit as st

from app.components import Html, note, show_error, state_html
from app.formatting import amount, byte_size, duration, time_html
from app.services import jobs, workspace
from bioprune_core.errors import BioPruneError, ConflictError
from bioprune_core.jobs import JobKind, JobState, JobStatus, WorkerStatus
from bioprune_core.progress import Progress

__all__ = [
    "follow",
    "job_buttons",
    "job_card",
    "job_title",
    "log_closed",
    "progress_html",
    "run_page_again",
    "show_log",
    "start_job",
    "work_html",
    "worker_hint",
]

_VERBS = {
    JobKind.INGEST: "Ingest",
    JobKind.PRETRAIN: "Train",
    JobKind.SCORE: "Score",
    JobKind.ESTIMATE: "Measure the cost of scoring",
    JobKind.EXPERIMENT: "Carry out",
}
_STAGES = {
    "ingest": "Reading the files",
    "write": "Writing the pool",
    "train": "Training from scratch",
    "plan": "Reading pool and tasks",
    "cells": "Training and measuring",
    "subset": "Drawing the subset",
    "fine-tune": "Fine-tuning on the subset",
    "fisher": "Estimating the Fisher information",
    "score": "Scoring the pool",
    "map-landmarks": "Choosing landmarks of the map",
    "map-fit": "Fitting the map",
    "map": "Placing the rest on the map",
    "diagnostics": "Checking the scores",
    "manifest": "Writing the manifest",
    "estimate": "Measuring a few batches",
}
_METRICS = {"loss": "loss", "gradient_norm": "gradient norm"}
_LOG_OPEN = "log-open"


def job_title(job: JobStatus) -> str:
    """What a job does, in words: "Score rfam by tiny"."""
    return f"{_VERBS[job.kind]} {job.target_name or job.target_id}"


def start_job(kind: JobKind, target_id: str) -> str:
    """Put a job into the queue, or let the target's failed or cancelled one go on; the job's id."""
    last = jobs().find(target_id)
    if last is not None and last.state in (JobState.FAILED, JobState.CANCELLED):
        jobs().retry(last.id)
        return last.id
    return jobs().enqueue(kind, target_id)


def progress_html(job: JobStatus) -> Html:
    """A job at work: its stages, what is done now, a bar, figures with the time left."""
    if job.state is JobState.QUEUED:
        place = (
            "next in the queue" if job.queue_position == 1 else f"number {job.queue_position} in the queue"
        )
        return Html(
            f'<div class="bp-live"><div class="bp-live-line"><span>Waiting, {place}</span></div></div>'
        )
    return work_html(job.progress, job.eta_s, job.stage, _steps(job))


def work_html(progress: Progress | None, eta_s: float | None, stage: str = "", steps: str = "") -> Html:
    """What is computed now: its stage, a bar, figures with the time left.

    Args:
        progress: The latest; None before the first.
        eta_s: Seconds until its stage is finished; None where unknown.
        stage: The stage where there is no progress yet.
        steps: HTML above it.
    """
    words = escape(_stage_words(progress.stage if progress else stage))
    fraction = _fraction(progress)
    width = ' class="unknown"' if fraction is None else f' style="width: {100 * fraction:.1f}%"'
    value = "" if fraction is None else f' aria-valuenow="{100 * fraction:.0f}"'
    figures = escape(_figures(progress, eta_s)) if progress else ""
    return Html(
        f'<div class="bp-live">{steps}<div class="bp-live-line"><span>{words}</span>'
        f'<span>{figures}</span></div><div class="bp-bar" role="progressbar" aria-label="{words}"{value}>'
        f"<i{width}></i></div></div>"
    )


def _stage_words(stage: str) -> str:
    return _STAGES.get(stage, stage.replace("-", " ").capitalize() or "Starting")


def _steps(job: JobStatus) -> str:
    """The stages of a job with more than one: finished, at work, to come."""
    if len(job.stages) < 2:
        return ""
    done = sum(stage.is_finished for stage in job.stages)
    words = f"Step {min(done + 1, len(job.stages))} of {len(job.stages)}"
    marks = "".join(
        f'<i class="{"done" if stage.is_finished else "now" if index == done else "next"}"'
        f' title="{escape(_stage_words(stage.name))}"></i>'
        for index, stage in enumerate(job.stages)
    )
    return f'<div class="bp-steps"><span>{words}</span>{marks}</div>'


def _fraction(progress: Progress | None) -> float | None:
    if progress is None or not progress.total:
        return None
    return min(1.0, progress.done / progress.total)


def _figures(progress: Progress, eta_s: float | None) -> str:
    in_bytes = progress.unit == "bytes"

    def shown(number: float) -> str:
        return byte_size(number) if in_bytes else f"{number:,.0f}"

    whole = "" if progress.total is None else f" of {shown(progress.total)}"
    parts = [f"{shown(progress.done)}{whole}{'' if in_bytes else ' ' + progress.unit}"]
    parts += [
        f"{words} {amount(progress.metrics[name])}"
        for name, words in _METRICS.items()
        if name in progress.metrics
    ]
    if eta_s and progress.total is not None:
        rate = (progress.total - progress.done) / eta_s
        parts.append(f"{byte_size(rate)}/s" if in_bytes else f"{amount(rate)} {progress.unit}/s")
        parts.append(f"about {duration(max(1.0, eta_s))} left")
    return ", ".join(parts)


def job_buttons(job: JobStatus, key: str) -> None:
    """Cancel while it waits or runs; try again or resume once it has failed or was cancelled."""
    try:
        if not job.state.is_final:
            if st.button("Cancel", key=f"cancel-{key}", help="What is finished is kept."):
                jobs().cancel(job.id)
                st.rerun()
        elif job.state in (JobState.FAILED, JobState.CANCELLED):
            words = "Try again" if job.state is JobState.FAILED else "Resume"
            if st.button(words, key=f"retry-{key}", help="Goes on from what is finished."):
                jobs().retry(job.id)
                st.rerun()
    except ConflictError as error:
        # It ended in the moment of the click.
        show_error(error)


def job_card(job: JobStatus, project: str) -> None:
    """A waiting or running job with its progress and what can be done with it."""
    with st.container(border=True, gap="xsmall"):
        text, buttons = st.columns((6, 1), vertical_alignment="center")
        words = ", ".join(escape(part) for part in (project, job.worker) if part)
        text.html(
            f'<div class="bp-job-title"><strong>{escape(job_title(job))}</strong>'
            f"<span>{words}, {time_html(job.started or job.created)}</span></div>{progress_html(job)}"
        )
        with buttons, st.container(horizontal=True, horizontal_alignment="right"):
            if st.button("Log", key=f"log-{job.id}", type="tertiary"):
                show_log(job)
            job_buttons(job, job.id)


def log_closed() -> None:
    """Take note that no log is read: its dialog was closed, or the whole page runs, which closes it."""
    st.session_state.pop(_LOG_OPEN, None)


def run_page_again() -> None:
    """Run the page again as its jobs have changed, but not under somebody who reads a log."""
    if _LOG_OPEN not in st.session_state:
        st.rerun()


@st.dialog("Log", width="large", on_dismiss=log_closed)
def show_log(job: JobStatus) -> None:
    """The end of what the processes of a job printed, in a dialog."""
    st.session_state[_LOG_OPEN] = True
    st.html(f"<div><strong>{escape(job_title(job))}</strong></div>")
    _log(job)


def _log(job: JobStatus) -> None:
    try:
        text = jobs().log(job.id)
    except BioPruneError as error:
        show_error(error)
        return
    sections = [part for part in f"\n{text}".split("\n== ") if part.partition("\n")[2].strip()]
    st.code("\n".join(f"== {part}" for part in sections) or "Nothing was printed.", language=None, height=280)


def worker_hint(workers: Sequence[WorkerStatus]) -> None:
    """How to start a worker, said only where none is alive."""
    if any(worker.alive for worker in workers):
        return
    with st.container(border=True, gap="small"):
        note("No worker is running, so jobs wait. Start one on this machine, with the server's settings:")
        st.code(f"bioprune --workspace {shlex.quote(str(workspace().root))} worker", language=None)


def follow(target_id: str) -> None:
    """Follow the job of a dataset, model or run until it ends; then the page runs again."""
    job = jobs().find(target_id)
    if job is None:
        return
    if job.state.is_final:
        _ended(job)
        return
    worker_hint(jobs().workers())
    _at_work(target_id)


@st.fragment(run_every=2.0)
def _at_work(target_id: str) -> None:
    job = jobs().find(target_id)
    if job is None or job.state.is_final:
        st.rerun()
    # Not in columns: in half a page a tenth is too narrow for the button's word.
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.html(progress_html(job))
        job_buttons(job, f"follow-{target_id}")


def _ended(job: JobStatus) -> None:
    if job.state is JobState.DONE:
        return
    with st.container(border=True, gap="small"):
        when = f", {time_html(job.finished)}" if job.finished else ""
        st.html(f"<div>{state_html(job.state)}{when}</div>")
        if job.error:
            st.html(f'<p class="bp-field-error bp-wide">{escape(job.error)}</p>')
        with st.container(horizontal=True):
            job_buttons(job, f"ended-{job.id}")
        with st.expander("Log"):
            _log(job)
