"""Evaluate: is a model trained on a coreset better than one trained on random sequences?"""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.components import (
    LINKS_DRAWN_ANEW_S,
    download_links,
    empty_state,
    list_head,
    note,
    page_header,
)
from app.context import current_experiment, jobs, set_place, workspace
from app.downloads import DownloadKind, download_url
from app.experiment_data import plan_of, plan_time, progress_of, report_of
from app.experiment_form import new_experiment
from app.experiment_results import results_view
from app.experiment_state import current_status, progress, readable_config
from app.experiment_views import enlarge_popover, failures_view, live_progress, progress_figures
from app.formatting import count, time_html
from app.job_views import follow, start_job
from app.navigation import PageName, go, link, project_or_stop
from app.record_editor import edit_popover
from app.run_form import ready_datasets
from app.whole import NOT_WHOLE, not_whole_view
from bioprune_core.jobs import JobKind, JobState, JobStatus
from bioprune_core.laboratory import ExperimentStatus
from bioprune_core.workspace import Experiment, ExperimentPlan, Project, State

_LIST = {"Name": 4.0, "State": 1.6, "Cells": 1.6, "Compares": 3.0, "Made": 1.8}


def render() -> None:
    """Draw the page."""
    project = project_or_stop()
    experiment = current_experiment(project)
    if experiment is not None:
        _experiment(project, experiment)
        return
    page_header("Evaluate", trail=[project.name])
    known = workspace().experiments(project)
    if known:
        st.header("Experiments of this project", anchor=False)
        _list(known)
    datasets = ready_datasets(project)
    if datasets:
        started = new_experiment(project, datasets)
        if started is not None:
            go(PageName.EVALUATE, experiment=started.id)
    elif empty_state(
        "No dataset is ready yet", "Networks are trained on sequences. Add a dataset first.", "See the data"
    ):
        go(PageName.DATA)


def _list(experiments: list[Experiment]) -> None:
    with st.container(key="list-experiments", gap=None):
        list_head(_LIST)
        for experiment in reversed(experiments):
            with st.container(key=f"row-{experiment.id}"):
                cells = st.columns(list(_LIST.values()), vertical_alignment="center")
                with cells[0]:
                    link(PageName.EVALUATE, experiment.name, experiment=experiment.id)
                if (config := readable_config(experiment)) is None:
                    cells[3].text(NOT_WHOLE)
                else:
                    state, amount = progress(experiment)
                    cells[1].html(state)
                    cells[2].text(amount)
                    cells[3].text(_compared(config))
                cells[4].html(time_html(experiment.created))


def _compared(config: Mapping[str, Any]) -> str:
    settings = ExperimentPlan.from_json(config).settings
    sizes = ", ".join(f"{size:,}" for size in settings["sizes"])
    return f"B = {sizes} of {settings['dataset']}, {count(len(settings['seeds']), 'seed')}"


def _experiment(project: Project, experiment: Experiment) -> None:
    config = readable_config(experiment)
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header(experiment.name, trail=[project.name, "Evaluate"])
        with st.container(horizontal=True, width="content"):
            if st.button("All experiments", key="all-experiments"):
                set_place(experiment=None)
                st.rerun()
            if config is not None:
                enlarge_popover(experiment)
            edit_popover(
                experiment,
                deleted=lambda: go(PageName.EVALUATE, experiment=None),
                delete_help="Results of cells are kept: another experiment may use them.",
            )
    if config is None:
        not_whole_view("experiment")
        return
    # In this order: whatever is written meanwhile makes the page run again, or is seen already.
    job, shown = jobs().find(experiment.id), plan_time(experiment)
    plan = plan_of(experiment)
    status = current_status(experiment, plan)
    if workspace().state(experiment) is not State.DONE:
        if _is_idle(job, status) and _wants_start(status):
            start_job(JobKind.EXPERIMENT, experiment.id)
            st.rerun()
        follow(experiment.id)
        live_progress(experiment, shown, status)
    elif plan is not None and status is not None:
        progress_figures(plan, status)
    if plan is None:
        note("The results appear here cell by cell, once pool and tasks are read.")
        return
    if status is None:
        st.info(
            "What is shown is of the settings before they were changed. The results of the new ones appear "
            "once pool and tasks are read.",
            icon=":material/history:",
        )
        status = progress_of(plan)
    failures_view(plan, status)
    if not status.evaluations_done:
        note("The first results appear once a network was measured.")
        return
    results_view(report_of(experiment, plan, shown, status))
    _downloads(project, experiment)
    settings = ExperimentPlan.from_json(config).settings
    with st.expander("The settings, for bioprune experiment run"):
        st.code(json.dumps(settings, indent=2, ensure_ascii=False), language="json")


def _is_idle(job: JobStatus | None, status: ExperimentStatus | None) -> bool:
    """Whether nobody works on it, and no job of it failed or was cancelled, which offers to go on itself.

    A command can compute it as well, without a job.
    """
    return (job is None or job.state is JobState.DONE) and (status is None or not status.running)


def _wants_start(status: ExperimentStatus | None) -> bool:
    """Offer to start what nobody works on, or to try failed cells again; whether that was taken."""
    if status is None or not status.is_done:
        return empty_state(
            "Nobody works on this experiment",
            "No worker has it. What is computed is kept; starting it computes the rest.",
            "Start",
        )
    if not status.failed:
        return False
    return empty_state(
        f"{count(len(status.failed), 'cell')} failed",
        "Everything else is computed. Their reasons stand below.",
        "Try again",
    )


@st.fragment(run_every=LINKS_DRAWN_ANEW_S)
def _downloads(project: Project, experiment: Experiment) -> None:
    st.header("Take it out", anchor=False)
    kinds = {
        "Report (Markdown)": "md",
        "Tables (LaTeX)": "tex",
        "Measurements (CSV)": "csv",
        "All (JSON)": "json",
    }
    download_links(
        (label, download_url(project.id, DownloadKind.EXPERIMENT, experiment.id, ending, experiment.name), "")
        for label, ending in kinds.items()
    )


if __name__ == "__main__":
    render()
