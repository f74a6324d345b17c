"""Evaluate: is a model trained on a coreset better than one trained on random sequences?"""

import json

import streamlit as st

from app.components import Html, download_links, empty_state, list_head, note, page_header, state_html
from app.context import current_experiment, jobs, set_place, workspace
from app.downloads import DownloadKind, download_url
from app.experiment_data import plan_of, progress_of, report_of
from app.experiment_form import new_experiment
from app.experiment_results import results_view
from app.experiment_views import enlarge_popover, failures_view, live_progress
from app.formatting import count, time_html
from app.job_views import follow, start_job
from app.navigation import PageName, go, link, project_or_stop
from app.record_editor import edit_popover
from app.run_form import ready_datasets
from bioprune_core.jobs import JobKind
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
    datasets = ready_datasets(project)
    if not datasets:
        if empty_state(
            "No dataset is ready yet",
            "Networks are trained on sequences. Add a dataset first.",
            "See the data",
        ):
            go(PageName.DATA)
        return
    known = workspace().experiments(project)
    if known:
        st.header("Experiments of this project", anchor=False)
        _list(known)
    started = new_experiment(project, datasets)
    if started is not None:
        go(PageName.EVALUATE, experiment=started.id)


def _list(experiments: list[Experiment]) -> None:
    with st.container(key="list-experiments", gap=None):
        list_head(_LIST)
        for experiment in reversed(experiments):
            plan = plan_of(experiment)
            with st.container(key=f"row-{experiment.id}"):
                cells = st.columns(list(_LIST.values()), vertical_alignment="center")
                with cells[0]:
                    link(PageName.EVALUATE, experiment.name, experiment=experiment.id)
                status = None if plan is None else progress_of(plan)
                cells[1].html(_state(experiment, status))
                if status is not None:
                    done = status.networks_done + status.evaluations_done
                    cells[2].text(f"{done:,} of {status.networks + status.evaluations:,}")
                cells[3].text(_compared(experiment))
                cells[4].html(time_html(experiment.created))


def _state(experiment: Experiment, status: ExperimentStatus | None) -> Html:
    """The state by its job or, where a command computes it and there is none, by its cells."""
    state = workspace().state(experiment)
    if status is None or state is State.DONE:
        return state_html(state)
    if status.running:
        return state_html(State.RUNNING)
    if state is not State.NEW:
        return state_html(state)
    if status.is_done:
        return state_html(State.FAILED if status.failed else State.DONE)
    begun = status.networks_done + status.evaluations_done
    return state_html(state, "not finished" if begun else None)


def _compared(experiment: Experiment) -> str:
    settings = ExperimentPlan.from_json(workspace().config(experiment)).settings
    sizes = ", ".join(f"{size:,}" for size in settings["sizes"])
    return f"B = {sizes} of {settings['dataset']}, {count(len(settings['seeds']), 'seed')}"


def _experiment(project: Project, experiment: Experiment) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header(experiment.name, trail=[project.name, "Evaluate"])
        with st.container(horizontal=True, width="content"):
            if st.button("All experiments", key="all-experiments"):
                set_place(experiment=None)
                st.rerun()
            enlarge_popover(experiment)
            edit_popover(
                experiment,
                deleted=lambda: go(PageName.EVALUATE, experiment=None),
                delete_help="Results of cells are kept: another experiment may use them.",
            )
    plan = plan_of(experiment)
    if workspace().state(experiment) is not State.DONE:
        # A command can compute it as well, without a job.
        status = None if plan is None else progress_of(plan)
        idle = jobs().find(experiment.id) is None and (status is None or not status.running)
        if idle and _wants_start(status):
            start_job(JobKind.EXPERIMENT, experiment.id)
            st.rerun()
        follow(experiment.id)
    if plan is None:
        note("The results appear here cell by cell, once pool and tasks are read.")
        return
    live_progress(experiment)
    status = progress_of(plan)
    failures_view(plan, status)
    if not status.evaluations_done:
        note("The first results appear once a network was measured.")
        return
    results_view(report_of(experiment, plan, status))
    _downloads(project, experiment)


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
    settings = ExperimentPlan.from_json(workspace().config(experiment)).settings
    with st.expander("The settings, for bioprune experiment run"):
        st.code(json.dumps(settings, indent=2, ensure_ascii=False), language="json")


if __name__ == "__main__":
    render()
