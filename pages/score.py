"""Score: start a run on a dataset, watch it, see whether its fine-tuning converged."""

import streamlit as st

from app.components import empty_state, list_figure, list_head, page_header, state_html
from app.context import current_run, set_place, workspace
from app.formatting import time_html
from app.navigation import PageName, available, go, link, project_or_stop
from app.record_editor import edit_popover
from app.run_form import new_run, ready_datasets
from app.run_views import progress_view, results_view
from app.unfinished import unfinished_view
from app.whole import NOT_WHOLE, known_of, not_whole_view
from bioprune_core.jobs import JobKind
from bioprune_core.workspace import Project, Run, State

_LIST = {"Name": 4.0, "State": 1.6, "Sequences": 1.4, "Dataset": 2.6, "Model": 2.6, "Made": 1.8}


def render() -> None:
    """Draw the page."""
    project = project_or_stop()
    run = current_run(project)
    if run is not None:
        _run(project, run)
        return
    page_header("Score", trail=[project.name])
    datasets = ready_datasets(project)
    if datasets:
        new_run(project, datasets)
    else:
        _no_dataset(project)
    runs = workspace().runs(project)
    if runs:
        st.header("Runs of this project", anchor=False)
        _list(runs)


def _no_dataset(project: Project) -> None:
    waiting = any(known_of(each) for each in workspace().datasets(project))
    if empty_state(
        "No dataset is ready yet",
        "A dataset of this project is still being read; scoring can start once it is done."
        if waiting
        else "Scoring needs sequences. Add a dataset first.",
        "See the datasets" if waiting else "Add a dataset",
    ):
        go(PageName.DATA)


def _list(runs: list[Run]) -> None:
    datasets = {each.id: each.name for each in workspace().datasets(runs[0].project_id)}
    models = {each.id: each.name for each in workspace().models(runs[0].project_id)}
    with st.container(key="list-runs", gap=None):
        list_head(_LIST, numbers=["Sequences"])
        for run in reversed(runs):
            with st.container(key=f"row-{run.id}"):
                cells = st.columns(list(_LIST.values()), vertical_alignment="center")
                with cells[0]:
                    link(PageName.SCORE, run.name, run=run.id, dataset=run.dataset_id)
                if (known := known_of(run)) is None:
                    cells[3].text(NOT_WHOLE)
                else:
                    cells[1].html(state_html(known.state))
                    if known.manifest:
                        cells[2].html(list_figure(f"{known.manifest['counts']['sequences']:,}"))
                    cells[3].text(datasets.get(run.dataset_id, ""))
                    cells[4].text(models.get(run.model_id, ""))
                cells[5].html(time_html(run.created))


def _run(project: Project, run: Run) -> None:
    known = known_of(run)
    done = known is not None and known.state is State.DONE
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header(run.name, trail=[project.name, "Score"])
        with st.container(horizontal=True, width="content"):
            if st.button("All runs", key="all-runs"):
                set_place(run=None)
                st.rerun()
            edit_popover(
                run,
                deleted=lambda: go(PageName.SCORE, run=None),
                delete_help="Coresets selected from it must be deleted first.",
            )
            if done:
                _onward(run)
    if known is None:
        not_whole_view("run")
        return
    if done:
        results_view(project, run)
        return
    unfinished_view(run, JobKind.SCORE, lambda: progress_view(run))


def _onward(run: Run) -> None:
    if PageName.SELECT in available() and st.button("Select a coreset", key="to-select"):
        go(PageName.SELECT, run=run.id)
    if PageName.EXPLORE in available() and st.button("Explore the scores", type="primary", key="to-explore"):
        go(PageName.EXPLORE, run=run.id)


if __name__ == "__main__":
    render()
