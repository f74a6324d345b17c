"""One experiment as it goes: how far it is, and what failed."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.components import KeyFigure, field_error, key_figures, note, table
from app.experiment_data import is_current, plan_of, plan_time, progress_of
from app.experiment_numbers import LONGEST_LIST, understood, whole_numbers
from app.formatting import count, duration
from app.job_views import start_job
from app.services import workspace
from bioprune_core.errors import BioPruneError
from bioprune_core.experiments import ExperimentConfig
from bioprune_core.jobs import JobKind
from bioprune_core.laboratory import ExperimentStatus, PlannedExperiment
from bioprune_core.workspace import Experiment, ExperimentPlan, State

__all__ = ["enlarge_popover", "failures_view", "live_progress", "progress_figures"]


@st.fragment(run_every=3.0)
def live_progress(experiment: Experiment, shown: int | None, drawn: ExperimentStatus | None) -> None:
    """Cells done, failed and left; the page runs again when one was added, or when there is another plan.

    Args:
        experiment: The experiment, which was not done when the page was drawn.
        shown: `plan_time` of the plan that the page is drawn from.
        drawn: How far that plan's cells were then; None where it is of older settings or not there.
    """
    if plan_time(experiment) != shown:
        st.rerun()
    plan = plan_of(experiment)
    if plan is None or not is_current(experiment, plan):
        return
    status = progress_of(plan)
    if drawn is None or _cells(status) != _cells(drawn) or workspace().state(experiment) is State.DONE:
        st.rerun()
    progress_figures(plan, status)


def _cells(status: ExperimentStatus) -> tuple[int, int, int]:
    return status.networks_done, status.evaluations_done, len(status.failed)


def progress_figures(plan: PlannedExperiment, status: ExperimentStatus) -> None:
    """Cells done, failed and left, as key figures."""
    key_figures(_figures(plan, status))


def failures_view(plan: PlannedExperiment, status: ExperimentStatus) -> None:
    """Every failed cell with its reason; nothing where none failed."""
    if not status.failed:
        return
    places = {cell.key: cell.places[0] for cell in plan.plan.pretrainings}
    rows = []
    for cell in plan.plan.pretrainings:
        if cell.key in status.failed:
            rows.append(
                (cell.places[0].arm, _size(cell.places[0].size), str(cell.places[0].seed), "training")
            )
    tasks = {task.name: task.title for task in plan.tasks}
    for each in plan.plan.evaluations:
        if each.key in status.failed and each.pretraining not in status.failed:
            place = places[each.pretraining]
            rows.append((place.arm, _size(place.size), str(place.seed), tasks[each.task]))
    reasons = sorted(set(status.failed.values()))
    with st.expander(f"{count(len(status.failed), 'cell')} failed; they are in no mean", expanded=True):
        for reason in reasons:
            st.html(f"<p>{escape(reason)}</p>")
        table(["Arm", "B", "Seed", "Failed in"], rows, numbers=(1, 2))


def enlarge_popover(experiment: Experiment) -> None:
    """More sizes and seeds for an experiment; what is computed counts on."""
    asked = ExperimentPlan.from_json(workspace().config(experiment))
    before = ExperimentConfig.from_json(asked.settings)
    # Other fields for other numbers: what was typed beside the old ones would take the new ones away.
    shown = f"{experiment.id}-{hash((tuple(before.sizes), tuple(before.seeds)))}"
    met = st.session_state.setdefault(f"met-{experiment.id}", shown)
    with st.popover("Sizes and seeds", key=f"enlarge-{experiment.id}"):
        sizes = _numbers("Coreset sizes B", before.sizes, f"sizes-{shown}")
        seeds = _numbers("Every seed, by its number", before.seeds, f"seeds-{shown}")
        if shown != met:
            note("Somebody changed these numbers meanwhile. Those shown are the ones of now.")
        note("Add numbers to the list: 0 1 2 are three seeds, and 10 alone is one.")
        try:
            settings = {
                **asked.settings,
                "sizes": whole_numbers(sizes, "Coreset sizes B"),
                "seeds": whole_numbers(seeds, "Seeds"),
            }
            config = ExperimentConfig.from_json(settings)
            note(understood(config.sizes, config.seeds))
            if not st.button("Compute what is new", type="primary", key=f"compute-{shown}"):
                return
            st.session_state.pop(f"met-{experiment.id}")
            workspace().revise_experiment(experiment, config.to_json(), asked.base_folder)
            start_job(JobKind.EXPERIMENT, experiment.id)
        except BioPruneError as error:
            field_error(error.message)
            return
        st.rerun()


def _numbers(label: str, numbers: Sequence[int], key: str) -> str:
    return st.text_input(label, value=" ".join(map(str, numbers)), max_chars=LONGEST_LIST, key=key)


def _figures(plan: PlannedExperiment, status: ExperimentStatus) -> list[KeyFigure]:
    figures = [
        KeyFigure("Networks trained", f"{status.networks_done:,}", f"of {status.networks:,}"),
        KeyFigure("Measurements", f"{status.evaluations_done:,}", f"of {status.evaluations:,}"),
        KeyFigure("Computed now", f"{status.running:,}", comment="cells, by all workers"),
        KeyFigure("Failed", f"{len(status.failed):,}"),
        KeyFigure("Seeds", f"{len(plan.config.seeds):,}"),
    ]
    if status.is_done:
        return figures
    if status.remaining is None:
        left, comment = "not known yet", "measured as it starts"
    else:
        left = duration(status.remaining.seconds)
        unknown = sum(number for _, _, number in status.remaining.unmeasured)
        comment = (
            f"without {count(unknown, 'measurement')} not timed yet" if unknown else "on one such machine"
        )
    return [*figures, KeyFigure("Left", left, comment=comment)]


def _size(size: int) -> str:
    return f"{size:,}" if size else "–"
