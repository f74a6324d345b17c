"""The stages of an experiment job: plan, then compute every cell; idle workers join."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bioprune_core.errors import StageError
from bioprune_core.experiments import ExperimentConfig
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.versions import versions
from bioprune_core.laboratory.plan_file import PlannedExperiment, planned, read_planned
from bioprune_core.laboratory.preparation import Prepared, prepare
from bioprune_core.laboratory.progress import status_of
from bioprune_core.laboratory.running import run_experiment
from bioprune_core.laboratory.speed import with_speed
from bioprune_core.laboratory.store import CellStore
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.configuration import CONFIG_FILE, ExperimentPlan
from bioprune_core.workspace.events import EventKind, recent_events
from bioprune_core.workspace.names import timestamp
from bioprune_core.workspace.state import MANIFEST_FILE

__all__ = ["complete", "compute", "ended_in_order", "join", "plan"]


def plan(context: StageContext) -> Mapping[str, Any]:
    """Read pool, run and tasks, and write which cells there are and what a token of training takes.

    Raises:
        BioPruneError: As `prepare` and `with_speed`.
    """
    prepared = _prepared(context)
    found = with_speed(planned(prepared), prepared, CellStore(context.layout.cells), _device(context))
    found.write(context.directory)
    return {
        "networks": len(found.plan.pretrainings),
        "evaluations": len(found.plan.evaluations),
        "tokens": sum(cell.tokens for cell in found.plan.pretrainings),
    }


def compute(context: StageContext) -> Mapping[str, Any]:
    """Compute every cell that has no result; cells that failed in an earlier job are tried again.

    Raises:
        StageError: Cells failed. The results of all others are kept.
    """
    with ended_in_order():
        return _compute(context)


def _compute(context: StageContext) -> Mapping[str, Any]:
    store, prepared = CellStore(context.layout.cells), _prepared(context)
    experiment = planned(prepared)
    kept = read_planned(context.directory)
    if kept is None or _keys(kept) != _keys(experiment):
        # Of a version that measured otherwise: what is computed here is what pages and reports must look for.
        speed = None if kept is None else kept.seconds_a_token
        replace(experiment, seconds_a_token=speed).write(context.directory)
    retry = not _is_started_again(context.directory)
    outcome = run_experiment(store, prepared, _device(context), context.report, retry=retry)
    while not complete(store, experiment, context.directory):
        status = status_of(store, experiment)
        if status.failed:
            raise StageError(
                f"{len(status.failed):,} of {status.networks + status.evaluations:,} cells failed; the "
                f"results of all others are kept. The first says: {next(iter(status.failed.values()))} "
                "Trying again computes the failed ones once more."
            )
        # Another experiment tries a cell of both again that failed here: what becomes of it is waited for.
        more = run_experiment(store, prepared, _device(context), context.report)
        outcome = replace(more, computed=outcome.computed + more.computed)
    return {"computed": outcome.computed, "cells": outcome.cells}


def join(context: StageContext) -> None:
    """Compute cells beside the worker whose job it is."""
    with ended_in_order():
        run_experiment(CellStore(context.layout.cells), _prepared(context), _device(context), context.report)


def complete(store: CellStore, experiment: PlannedExperiment, folder: Path) -> bool:
    """Write the manifest of an experiment, if all its cells have results; whether they have.

    An experiment that was changed while it was computed here is not done by that.
    """
    status = status_of(store, experiment)
    if status.failed or not status.is_done:
        return False
    asked = ExperimentPlan.from_json(read_json(folder / CONFIG_FILE))
    if ExperimentConfig.from_json(asked.settings) != experiment.config:
        return True
    write_json(
        folder / MANIFEST_FILE,
        {
            "kind": "experiment",
            "id": folder.name,
            "config": experiment.config.to_json(),
            "digest": experiment.config.digest,
            "networks": status.networks,
            "evaluations": status.evaluations,
            "versions": versions(),
            "created": timestamp(),
        },
    )
    return True


class _Ended(BaseException):
    """SIGTERM has come."""


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Close what is open on SIGTERM before that ends the process: no fault of the cell that it meets."""

    def end(*_: object) -> None:
        raise _Ended

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except _Ended:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _is_started_again(directory: Path) -> bool:
    """Whether this process of the stage follows one that something ended."""
    passing = (EventKind.PROGRESS, EventKind.NOTE)
    kinds = [event.kind for event in recent_events(directory) if event.kind not in passing]
    return kinds[-2:-1] == [EventKind.STAGE_RESTARTED]  # and then that this one has started


def _keys(experiment: PlannedExperiment) -> set[str]:
    cells = experiment.plan
    return {cell.key for cell in cells.pretrainings} | {cell.key for cell in cells.evaluations}


def _prepared(context: StageContext) -> Prepared:
    asked = ExperimentPlan.from_json(context.config)
    workspace = Workspace.open(context.layout.root)
    try:
        record = workspace.experiment(context.directory.name)
        return prepare(workspace, ExperimentConfig.from_json(asked.settings), asked.base_folder, record)
    finally:
        workspace.close()


def _device(context: StageContext) -> str:
    return ExperimentPlan.from_json(context.config).device
