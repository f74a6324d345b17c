"""A run or a model that is not done: who works on it, why nobody does, and how it goes on."""

from collections.abc import Callable

import streamlit as st

from app.components import empty_state, note
from app.job_views import follow, start_job, work_html
from app.services import jobs, workspace
from bioprune_core.jobs import JobKind, JobState
from bioprune_core.jobs.reading import stage_progress
from bioprune_core.workspace import Model, Run, State
from bioprune_core.workspace.events import last_failure, recent_events

__all__ = ["unfinished_view"]


def unfinished_view(record: Run | Model, kind: JobKind, start: str, draw: Callable[[], None]) -> None:
    """Draw what is known of a run or model that is not done, anew every 2 s while something happens.

    Args:
        record: What is computed.
        kind: The job that computes it.
        start: The words of the button that starts it for the first time.
        draw: Draws what there is so far.
    """
    state = workspace().state(record)
    job = jobs().find(record.id)
    waiting = job is not None and not job.state.is_final
    # The command line computes without a job.
    by_command = state is State.RUNNING and not waiting
    if by_command:
        pass
    elif job is None or job.state is JobState.DONE:
        if _wants_start(record, state, start):
            start_job(kind, record.id)
            st.rerun()
    else:
        follow(record.id)
    if waiting or by_command:
        _watch(record, state, by_command, draw)
    else:
        draw()


def _wants_start(record: Run | Model, state: State, start: str) -> bool:
    """Say why nobody works on it, and offer to; whether that was taken."""
    what = "run" if isinstance(record, Run) else "training"
    goes_on = "Starting it again goes on from what is finished."
    match state:
        case State.NEW:
            text = f"This {what} is planned and its settings are fixed; no job works on it."
            return empty_state("Not started", text, start)
        case State.FAILED:
            return empty_state(
                "Failed", f"{last_failure(workspace().directory(record))} {goes_on}", "Try again"
            )
        case _:
            return empty_state("Interrupted", f"Nobody works on this {what} now. {goes_on}", "Go on")


@st.fragment(run_every=2.0)
def _watch(record: Run | Model, state: State, by_command: bool, draw: Callable[[], None]) -> None:
    if workspace().state(record) is not state:
        st.rerun()
    if by_command:
        progress, eta_s = stage_progress(recent_events(workspace().directory(record)))
        with st.container(border=True, gap="xsmall"):
            st.html(work_html(progress, eta_s))
            note("A command computes this; it can be ended there, and goes on from what is finished.")
    draw()
