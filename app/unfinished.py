"""A dataset, run or model that is not done: who works on it, why nobody does, and how it goes on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from app.components import empty_state, note
from app.job_views import follow, start_job, work_html
from app.services import jobs, workspace
from bioprune_core.jobs import JobKind, JobState
from bioprune_core.jobs.reading import stage_progress
from bioprune_core.workspace import Dataset, Model, Run, State
from bioprune_core.workspace.events import last_failure, recent_events

__all__ = ["unfinished_view"]


@dataclass(frozen=True, slots=True)
class _Words:
    """What is said where nobody works on a thing, and the button that starts it."""

    title: str
    planned: str
    broken_off: str
    goes_on: str
    start: str


_RESUMES = "Starting it again goes on from what is finished."
_WORDS: Mapping[type, _Words] = {
    Dataset: _Words(
        "Not read yet",
        "The files of this dataset are known but have not been read.",
        "Nobody reads the files of this dataset now.",
        "Reading them again begins at the first.",
        "Read the files",
    ),
    Run: _Words(
        "Not started",
        "This run is planned and its settings are fixed; no job works on it.",
        "Nobody works on this run now.",
        _RESUMES,
        "Start scoring",
    ),
    Model: _Words(
        "Not started",
        "This training is planned and its settings are fixed; no job works on it.",
        "Nobody works on this training now.",
        _RESUMES,
        "Start training",
    ),
}


def unfinished_view(record: Dataset | Run | Model, kind: JobKind, draw: Callable[[], None]) -> None:
    """Draw what is known of a thing that is not done, anew every 2 s while something happens.

    Args:
        record: What is computed.
        kind: The job that computes it.
        draw: Draws what there is so far.
    """
    state = workspace().state(record)
    if state is State.DONE:
        st.rerun()  # It was finished a moment ago.
    job = jobs().find(record.id)
    waiting = job is not None and not job.state.is_final
    # The command line computes without a job.
    by_command = state is State.RUNNING and not waiting
    if job is not None and job.state is not JobState.DONE and not by_command:
        follow(record.id)
    elif not by_command and _wants_start(record, state):
        start_job(kind, record.id)
        st.rerun()
    if waiting or by_command:
        _watch(record, state, by_command, draw)
    else:
        draw()


def _wants_start(record: Dataset | Run | Model, state: State) -> bool:
    """Say why nobody works on it, and offer to; whether that was taken."""
    words = _WORDS[type(record)]
    match state:
        case State.NEW:
            return empty_state(words.title, words.planned, words.start)
        case State.FAILED:
            reason = last_failure(workspace().directory(record))
            return empty_state("Failed", f"{reason} {words.goes_on}", "Try again")
        case _:
            return empty_state("Interrupted", f"{words.broken_off} {words.goes_on}", "Go on")


@st.fragment(run_every=2.0)
def _watch(record: Dataset | Run | Model, state: State, by_command: bool, draw: Callable[[], None]) -> None:
    if workspace().state(record) is not state:
        st.rerun()
    if by_command:
        progress, eta_s = stage_progress(recent_events(workspace().directory(record)))
        with st.container(border=True, gap="xsmall"):
            st.html(work_html(progress, eta_s))
            note("A command works on this; it can be ended there.")
    draw()
