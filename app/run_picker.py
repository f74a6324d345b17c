"""Which finished run a page is about: the one in the address, else the newest of the project."""

import streamlit as st

from app.components import empty_state, page_header, state_html
from app.context import current_run, set_place, workspace
from app.navigation import PageName, available, go, link
from app.run_data import OpenRun, open_run
from app.whole import finished, not_whole, not_whole_view
from bioprune_core.progress import Progress
from bioprune_core.workspace import Project, Run

__all__ = ["open_or_stop", "pick_run", "run_or_stop"]


def run_or_stop(project: Project, title: str) -> Run:
    """The run that the page is about; where there is none that is finished, say what to do and end.

    Args:
        project: The open project.
        title: Title of the page, for its empty state.
    """
    run = _chosen(project)
    if run is None or not finished([run]):
        page_header(title, trail=[project.name])
        _missing(run)
        st.stop()
    return run


def _chosen(project: Project) -> Run | None:
    """The run in the address, or the newest finished one, which then is in the address."""
    run = current_run(project)
    offered = finished_runs(project) if run is None else []
    if not offered:
        return run
    set_place(run=offered[-1].id, dataset=offered[-1].dataset_id)
    return offered[-1]


def _missing(run: Run | None) -> None:
    if run is not None and not_whole([run]):
        not_whole_view("run", "on its own page")
        link(PageName.SCORE, f"Open {run.name}", run=run.id)
    elif run is not None:
        _unfinished(run)
    elif PageName.SCORE in available() and empty_state(
        "No run is finished yet",
        "A run scores every sequence of a dataset by its influence on a model. Start one; this page shows "
        "its results once it is done.",
        "Score a dataset",
    ):
        go(PageName.SCORE)


def pick_run(project: Project, run: Run, here: PageName) -> None:
    """A selectbox of the project's finished runs, which opens `here` anew; only where there is a choice."""
    names = {each.id: each.name for each in finished_runs(project)}
    if len(names) < 2:
        return
    options = list(names)[::-1]
    chosen = st.selectbox(
        "Run",
        options,
        index=options.index(run.id),
        format_func=names.__getitem__,
        key=f"pick-{run.id}",
        label_visibility="collapsed",
        width=320,
    )
    if chosen is not None and chosen != run.id:
        # What was brushed belongs to the old run.
        go(here, run=chosen)


def open_or_stop(run: Run) -> OpenRun:
    """Open a run, with a bar of progress where its table is made for the first time."""
    place = st.empty()

    def report(progress: Progress) -> None:
        share = progress.done / progress.total if progress.total else 1.0
        place.progress(share, f"Preparing the views: {progress.done:,} of {progress.total:,} sequences")

    data = open_run(run, report)
    place.empty()
    return data


def finished_runs(project: Project) -> list[Run]:
    """The finished runs of a project that are whole, oldest first."""
    return finished(workspace().runs(project))


def _unfinished(run: Run) -> None:
    st.html(f"<div>{state_html(workspace().state(run))}</div>")
    if empty_state(
        f"{run.name} is not finished",
        "Its scores appear here once every sequence has one. Watch it, or start it again, on the Score page.",
        "Watch the run",
    ):
        go(PageName.SCORE, run=run.id)
    link(PageName.SCORE, "All runs of this project", run=None)
