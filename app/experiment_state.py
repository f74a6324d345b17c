"""What state an experiment is in: as its job says or, where a command computes it, as its cells say."""

from collections.abc import Mapping
from typing import Any

from app.components import Html, state_html
from app.experiment_data import is_current, plan_of, progress_of
from app.services import workspace
from app.whole import config_of, manifest_of
from bioprune_core.errors import StorageError
from bioprune_core.laboratory import ExperimentStatus, PlannedExperiment
from bioprune_core.workspace import Experiment, State

__all__ = ["current_status", "progress", "readable_config"]


def readable_config(experiment: Experiment) -> Mapping[str, Any] | None:
    """Its configuration; None where that or its plan cannot be read, and so it is not whole."""
    try:
        plan_of(experiment)
    except StorageError:
        return None
    return config_of(experiment)


def progress(experiment: Experiment) -> tuple[Html, str]:
    """Its state, and how many of its cells are done. Cells are counted only where some may be missing."""
    manifest = manifest_of(experiment)
    if manifest is not None:
        cells = manifest["networks"] + manifest["evaluations"]
        return state_html(State.DONE), f"{cells:,} of {cells:,}"
    try:
        status = current_status(experiment, plan_of(experiment))
    except StorageError:
        return _state(experiment, None), "a result is damaged"
    if status is None:
        return _state(experiment, None), ""
    done = status.networks_done + status.evaluations_done
    return _state(experiment, status), f"{done:,} of {status.networks + status.evaluations:,}"


def current_status(experiment: Experiment, plan: PlannedExperiment | None) -> ExperimentStatus | None:
    """How far its cells are; None where there is no plan, or only one of the settings before."""
    return progress_of(plan) if plan is not None and is_current(experiment, plan) else None


def _state(experiment: Experiment, status: ExperimentStatus | None) -> Html:
    """The state by its job or, where a command computes it and there is none, by its cells."""
    state = workspace().state(experiment)
    if status is None:
        return state_html(state)
    if status.running:
        return state_html(State.RUNNING)
    if state is not State.NEW:
        return state_html(state)
    if status.is_done:
        return state_html(State.FAILED if status.failed else State.DONE)
    begun = status.networks_done + status.evaluations_done
    return state_html(state, "not finished" if begun else None)
