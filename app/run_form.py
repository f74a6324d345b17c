"""Planning a run: dataset, model, subset and seeds, with what it will do and what it will cost."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components import field_error
from app.context import current_dataset, set_place
from app.cost_measurement import measure_cost
from app.followed_default import follow_default
from app.formatting import count
from app.gone_choice import tell_gone, was_replaced
from app.influence_form import influence_fields
from app.model_choice import ModelChoice, choose_model
from app.navigation import PageName, go, link
from app.one_click import made_once
from app.services import jobs, workspace
from app.training_settings import typed_device
from app.whole import finished, not_whole, tell_left_out
from bioprune_core.errors import BioPruneError
from bioprune_core.jobs import JobKind
from bioprune_core.workspace import Dataset, Project, Run
from bioprune_core.workspace.configuration import HELD_OUT_SIZE

__all__ = ["new_run", "ready_datasets"]

_EXPLANATION = """
1. **Subset.** A number of sequences is drawn at random, by the seed.
2. **Fine-tuning.** The model goes over the subset, so that it is close to a minimum there. The loss before
   and after, on the subset and on held-out sequences, shows whether it is.
3. **Fisher information.** How sharply the loss on the subset depends on each weight of the model's head.
4. **Scores.** A pass over every sequence gives its self-influence: how much the model would change
   if the sequence weighed more. Its loss and its embedding come from the same pass.
5. **Map.** The embeddings are laid out in two dimensions.
6. **Checks.** A sample is scored under a second, disjoint subset and under other forms of the Fisher
   information, to show whether the scores can be trusted; by default where this costs under a tenth more.

A worker does this in the background. Nothing is lost when this page is closed, the server restarts or the run
is cancelled: a run goes on from what is finished.
"""

_CHECKS = {"auto": "Where they cost under a tenth", "on": "Always", "off": "Never"}


@dataclass(frozen=True, slots=True)
class _Plan:
    subset: int
    settings: dict[str, Any]


def ready_datasets(project: Project) -> list[Dataset]:
    """The datasets of a project that have been read and are whole, newest first."""
    return finished(reversed(workspace().datasets(project)))


def new_run(project: Project, datasets: list[Dataset]) -> None:
    """Draw the form; starting the run leads to its page.

    Args:
        project: The open project.
        datasets: Those that are ready; at least one.
    """
    controls, explanation = st.columns((5, 4), gap="large")
    with controls:
        dataset, gone = _dataset(project, datasets)
        model = choose_model(project, dataset)
        plan = None if model is None else _plan(dataset)
    with explanation:
        st.header("What happens", anchor=False)
        st.markdown(_EXPLANATION)
    if model is None or plan is None:
        return
    with explanation:
        st.header("What it will take", anchor=False)
        measure_cost(project, dataset, model, plan.subset, plan.settings)
    with controls:
        _start(project, dataset, model, plan, gone)


def _dataset(project: Project, datasets: list[Dataset]) -> tuple[Dataset, bool]:
    """The dataset of the address or else the newest, and whether it replaces one that is gone."""
    names = {each.id: each for each in datasets}
    here = current_dataset(project)
    # Where the address names none, the one shown stays although a newer one is ready.
    prefix = f"dataset-of-{project.id}-"
    shown = [key.removeprefix(prefix) for key in map(str, st.session_state) if key.startswith(prefix)]
    wanted = [*([] if here is None else [here.id]), *shown]
    start = next((each for each in wanted if each in names), datasets[0].id)
    gone = was_replaced(prefix, here is None and bool(shown) and start not in shown)
    labels = {each.id: f"{each.name}, {count(_size(each), 'sequence')}" for each in datasets}
    chosen = st.selectbox(
        "Dataset",
        list(names),
        index=list(names).index(start),
        format_func=labels.__getitem__,
        key=f"{prefix}{start}",
    )
    if gone:
        tell_gone()
    tell_left_out(not_whole(workspace().datasets(project)))
    if chosen != start:
        set_place(dataset=chosen)
        st.rerun()
    return names[start], gone


def _size(dataset: Dataset) -> int:
    return int(workspace().manifest(dataset)["sequences"])


def _plan(dataset: Dataset) -> _Plan:
    size = _size(dataset)
    left, middle, right = st.columns(3)
    subset = left.number_input(
        "Subset (sequences)",
        min_value=1,
        max_value=size,
        # At most half of a small pool, so that there is something to hold out.
        value=min(2_000, max(1, size // 2)),
        step=100,
        key=f"subset-{dataset.id}",
        help=f"Drawn at random for fine-tuning and for the Fisher information; at most the pool's {size:,}.",
    )
    epochs = middle.number_input(
        "Epochs over the subset",
        min_value=0.0,
        max_value=1_000.0,
        value=1.0,
        step=1.0,
        format="%.4g",
        key="epochs",
        bind="query-params",
        help="One in the method's paper. More where the convergence verdict asks for it; 0 scores with the "
        "model as it is.",
    )
    seed = right.number_input(
        "Seed",
        min_value=0,
        value=0,
        step=1,
        key="seed",
        bind="query-params",
        help="Of the subset, masks and map.",
    )
    settings: dict[str, Any] = {"training": {"epochs": float(epochs)}, "subset_seed": int(seed)}
    with st.expander("More settings"):
        settings |= _more(settings["training"], size - int(subset))
    return _Plan(int(subset), settings)


def _more(training: dict[str, Any], left_over: int) -> dict[str, Any]:
    """Settings with good defaults; a field left empty keeps the default."""
    left, right = st.columns(2)
    budget = left.number_input(
        "Tokens a training step",
        min_value=16,
        max_value=1 << 22,
        value=None,
        step=1024,
        placeholder="By the model's size",
        key="budget",
        help="The token budget of one optimiser step, pads included; a longer sequence is a step of its own.",
    )
    rate = right.number_input(
        "Learning rate",
        min_value=1e-8,
        max_value=1.0,
        value=None,
        # A tenth of a large model's default.
        step=1e-5,
        format="%.4g",
        placeholder="By the model's size",
        key="rate",
    )
    most = max(0, left_over)
    follow_default("held-out", min(HELD_OUT_SIZE, most), most)
    held_out = left.number_input(
        "Held-out sequences",
        min_value=0,
        max_value=most,
        step=64,
        key="held-out",
        help="Outside of the subset; the loss on them tells adapting from learning by heart.",
    )
    device = right.text_input(
        "Device", value="auto", key="device", help="auto, cpu, cuda, cuda:1: what the worker computes on."
    )
    scoring = left.number_input(
        "Tokens a scoring batch",
        min_value=16,
        max_value=1 << 22,
        value=None,
        step=1024,
        placeholder="By the device",
        key="scoring-budget",
        help="8,192 on a processor; on a GPU found by trial. Scores change by rounding only.",
    )
    checks = right.selectbox(
        "Checks of the scores",
        list(_CHECKS),
        format_func=_CHECKS.__getitem__,
        key="checks",
        help="Is the subset large enough, and what does the diagonal of the Fisher information leave out? "
        "The answers are shown with the finished run; the scores are the same without them.",
    )
    influence = influence_fields(left, right)
    if budget is not None:
        training["token_budget"] = int(budget)
    if rate is not None:
        training["learning_rate"] = float(rate)
    more: dict[str, Any] = {"held_out_size": int(held_out), "device": typed_device(device)}
    if checks != "auto":
        more["diagnostics"] = {"enabled": checks == "on"}
    if scoring is not None:
        influence["token_budget"] = int(scoring)
    return more | ({"influence": influence} if influence else {})


def _start(project: Project, dataset: Dataset, model: ModelChoice, plan: _Plan, gone: bool) -> None:
    name = st.text_input("Name of the run", placeholder="Dataset and model", max_chars=100, key="run-name")
    clicked = st.button("Start scoring", type="primary", key="start-run")
    clicked = clicked and not gone and not model.replaces

    def start() -> Run | None:
        try:
            config = workspace().plan_run(dataset, model.entry(project), plan.subset, **plan.settings)
            same = workspace().find_run(config)
            if same is not None:
                field_error(f"The run {same.name} has exactly these settings. Open it, or change one.")
                link(PageName.SCORE, f"Open {same.name}", run=same.id)
                return None
            run = workspace().create_run(config, name.strip() or None)
            jobs().enqueue(JobKind.SCORE, run.id)
        except BioPruneError as error:
            field_error(error.message)
            return None
        return run

    run = made_once("score", clicked, start)
    if run is not None:
        go(PageName.SCORE, run=run.id, dataset=dataset.id)
