"""What a planned run will take, measured beforehand by a worker on a few batches."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.components import KeyFigure, field_error, key_figures, note
from app.formatting import amount, byte_size, duration
from app.job_views import follow, start_job
from app.model_choice import ModelChoice
from app.services import workspace
from bioprune_core.errors import BioPruneError
from bioprune_core.estimate import RunCost
from bioprune_core.jobs import JobKind
from bioprune_core.workspace import Dataset, Project, RunConfig

__all__ = ["measure_cost"]

_WORDS = {
    "fine-tune": "fine-tuning",
    "fisher": "Fisher",
    "score": "scores",
    "map": "map",
    "diagnostics": "checks",
}


def measure_cost(
    project: Project, dataset: Dataset, model: ModelChoice, subset: int, settings: Mapping[str, Any]
) -> None:
    """Show what was measured for exactly this run, or offer to measure it.

    Args:
        project: The open project.
        dataset: The pool.
        model: The model of the form.
        subset: M.
        settings: As `Workspace.plan_run` takes them.
    """
    try:
        # A model from elsewhere is noted in the catalogue when it is first used, not while the form is drawn.
        config = workspace().plan_run(dataset, model.model, subset, **settings) if model.model else None
        cost = workspace().estimate(config) if config else None
        if cost is not None:
            _figures(RunCost.from_json(cost))
            return
        note(
            "Nothing is measured yet for this model, this pool and these settings. A worker can time a few "
            "batches, training steps among them."
        )
        if st.button("Measure a few batches", key="measure-cost"):
            config = config or workspace().plan_run(dataset, model.entry(project), subset, **settings)
            start_job(JobKind.ESTIMATE, workspace().plan_estimate(config))
            st.rerun()
    except BioPruneError as error:
        field_error(error.message)
        return
    if config is not None:
        _follow(config)


def _follow(config: RunConfig) -> None:
    follow(workspace().estimate_id(config))


def _figures(cost: RunCost) -> None:
    figures = [
        KeyFigure("Time", f"about {duration(cost.seconds)}", comment=f"on {cost.device}"),
        KeyFigure("Memory", f"about {byte_size(cost.memory_bytes)}"),
        KeyFigure("Disk", f"about {byte_size(cost.disk_bytes)}"),
    ]
    if cost.cache_bytes:
        figures.append(KeyFigure("Until the run is done", f"{byte_size(cost.cache_bytes)} more disk"))
    if cost.device_memory_bytes:
        figures.append(KeyFigure("GPU memory", f"about {byte_size(cost.device_memory_bytes)}"))
    key_figures(figures)
    parts = ", ".join(
        f"{_WORDS.get(name, name)} {duration(seconds)}" for name, seconds in cost.stages.items()
    )
    note(
        f"From {cost.batches} measured batches: {parts}; {amount(cost.tokens)} tokens to score. Other work "
        "there adds to it."
    )
