"""What the Evaluate page shows of an experiment, read from its plan and the cells' results."""

from pathlib import Path

import streamlit as st

from app.services import workspace
from bioprune_core.experiments import ExperimentConfig, Report
from bioprune_core.laboratory import (
    CellStore,
    ExperimentStatus,
    PlannedExperiment,
    gather,
    read_planned,
    status_of,
    was_fine_tuned,
)
from bioprune_core.workspace import Experiment, ExperimentPlan
from bioprune_core.workspace.experiments import PLAN_FILE

__all__ = ["is_current", "plan_of", "plan_time", "progress_of", "report_of"]


def plan_of(experiment: Experiment) -> PlannedExperiment | None:
    """Its plan; None before it was made."""
    modified = plan_time(experiment)
    return None if modified is None else _plan(str(workspace().directory(experiment)), modified)


def plan_time(experiment: Experiment) -> int | None:
    """When its plan was written, in nanoseconds; None before it was made."""
    path = workspace().directory(experiment) / PLAN_FILE
    return path.stat().st_mtime_ns if path.is_file() else None


def is_current(experiment: Experiment, plan: PlannedExperiment) -> bool:
    """Whether a plan is of the settings that the experiment has now."""
    asked = ExperimentPlan.from_json(workspace().config(experiment))
    return plan.config == ExperimentConfig.from_json(asked.settings)


def progress_of(plan: PlannedExperiment) -> ExperimentStatus:
    """How far its cells are, now."""
    return status_of(_store(), plan)


def report_of(
    experiment: Experiment, plan: PlannedExperiment, shown: int | None, status: ExperimentStatus
) -> Report:
    """The report of what there is; computed again when a cell was added.

    Args:
        experiment: The experiment.
        plan: Its plan.
        shown: `plan_time`, asked before the plan was read.
        status: How far the plan's cells are.
    """
    seen = (status.networks_done, status.evaluations_done, len(status.failed))
    return _report(str(workspace().directory(experiment)), shown, seen, plan, experiment)


@st.cache_resource(max_entries=16, show_spinner=False)
def _plan(folder: str, modified: int) -> PlannedExperiment | None:  # noqa: ARG001 - what the cache goes by
    return read_planned(Path(folder))


@st.cache_resource(max_entries=16, show_spinner="Comparing the arms")
def _report(
    folder: str,  # noqa: ARG001 - what the cache goes by
    modified: int | None,  # noqa: ARG001
    seen: tuple[int, int, int],  # noqa: ARG001
    _planned: PlannedExperiment,
    _experiment: Experiment,
) -> Report:
    return gather(_store(), _planned, was_fine_tuned(workspace(), _planned.config, _experiment))


def _store() -> CellStore:
    return CellStore.of(workspace())
