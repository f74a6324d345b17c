"""Pretrain: train a model from scratch on a coreset or a dataset, and watch its loss."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components import empty_state, list_figure, list_head, note, page_header, state_html
from app.context import current_model, set_place, workspace
from app.formatting import time_html
from app.model_views import trained_on, training_progress, training_results
from app.navigation import PageName, go, link, project_or_stop
from app.pretrain_form import new_training
from app.record_editor import edit_popover
from app.run_form import ready_datasets
from app.unfinished import unfinished_view
from app.whole import NOT_WHOLE, known_of, not_whole_view
from bioprune_core.jobs import JobKind
from bioprune_core.workspace import Model, Project, State

_LIST = {"Name": 4.0, "State": 1.6, "Held-out loss": 1.6, "Trained on": 3.0, "Made": 1.8}


def render() -> None:
    """Draw the page."""
    project = project_or_stop()
    model = current_model(project)
    if model is not None:
        _model(project, model)
        return
    page_header("Pretrain", trail=[project.name])
    datasets = ready_datasets(project)
    if datasets:
        started = new_training(project, datasets)
        if started is not None:
            go(PageName.PRETRAIN, model=started.id)
    elif empty_state(
        "No dataset is ready yet", "A model is trained on sequences. Add a dataset first.", "See the data"
    ):
        go(PageName.DATA)
    models = [each for each in workspace().models(project) if each.reference is None]
    if models:
        st.header("Models trained in this project", anchor=False)
        _list(models)
        note(
            "The held-out loss of each is on sequences of its own, drawn from what it was not trained on. "
            "Evaluate compares networks on the same ones."
        )


def _list(models: list[Model]) -> None:
    with st.container(key="list-models", gap=None):
        list_head(_LIST, numbers=["Held-out loss"])
        for model in reversed(models):
            with st.container(key=f"row-{model.id}"):
                cells = st.columns(list(_LIST.values()), vertical_alignment="center")
                with cells[0]:
                    link(PageName.PRETRAIN, model.name, model=model.id)
                _account(model, *cells[1:4])
                cells[4].html(time_html(model.created))


def _account(model: Model, state: DeltaGenerator, loss: DeltaGenerator, origin: DeltaGenerator) -> None:
    """State, held-out loss and origin of a model, each in its place."""
    known = known_of(model)
    if known is None:
        origin.text(NOT_WHOLE)
        return
    state.html(state_html(known.state))
    if known.manifest and (measured := known.manifest["training"]["validation"]):
        loss.html(list_figure(f"{measured[-1]['loss']:.3f}"))
    origin.text(trained_on(model, known.config))


def _model(project: Project, model: Model) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width="content"):
            page_header(model.name, trail=[project.name, "Pretrain"])
        with st.container(horizontal=True, width="content"):
            if st.button("All models", key="all-models"):
                set_place(model=None)
                st.rerun()
            edit_popover(
                model,
                deleted=lambda: go(PageName.PRETRAIN, model=None),
                delete_help="Runs that scored with it must be deleted first.",
            )
    known = known_of(model)
    if known is None:
        not_whole_view("model")
        return
    if known.state is State.DONE:
        training_results(model)
        return
    unfinished_view(model, JobKind.PRETRAIN, lambda: training_progress(model))


if __name__ == "__main__":
    render()
