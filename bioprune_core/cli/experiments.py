"""Commands on experiments: experiment run, status, report."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from bioprune_core.cli.execution import (
    DeviceOption,
    QueueOption,
    carry_out,
    forgotten_on_error,
    opened_workspace,
)
from bioprune_core.cli.output import JsonOption, print_result, progress_bars
from bioprune_core.errors import ConflictError, NotFoundError, StageError
from bioprune_core.experiments import (
    ExperimentConfig,
    read_experiment,
    report_csv,
    report_json,
    report_latex,
    report_markdown,
)
from bioprune_core.jobs import JobKind
from bioprune_core.jobs.child import STAGE_ENVIRONMENT
from bioprune_core.laboratory import (
    CellStore,
    ExperimentStatus,
    PlannedExperiment,
    gather,
    planned,
    prepare,
    read_planned,
    status_of,
    was_fine_tuned,
)
from bioprune_core.storage import atomic_path
from bioprune_core.workspace import Experiment, ExperimentPlan, State, Workspace
from bioprune_core.workspace.locks import JOB_LOCK, hold

__all__ = ["register"]

ConfigArgument = Annotated[Path, typer.Argument(help="The experiment, a TOML or JSON file.")]

_RENDERINGS = {"md": report_markdown, "tex": report_latex, "csv": report_csv, "json": report_json}

commands = typer.Typer(no_args_is_help=True, help="Compare coresets: pretrain on each, evaluate, report.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(commands, name="experiment")


@commands.command()
def run(
    config: ConfigArgument,
    device: DeviceOption = "auto",
    retry: Annotated[bool, typer.Option("--retry", help="Try cells that failed again.")] = False,
    queue: QueueOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compute every network and measurement that is missing.

    It can be interrupted, continued, changed, and started on several machines that share the workspace at
    once. Workers that are idle help with what is queued. Ends with code 6 where cells failed.

    Example: bioprune experiment run rna-2k.toml
    """
    asked = read_experiment(config)
    if queue:
        _queue(asked, _base(config), device, as_json)
        return
    # What stages run with, read by the libraries as they load; only the allocator reads its own before that.
    for name, value in STAGE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Torch, for this command alone.
    from bioprune_core.jobs.environment import resolve_device
    from bioprune_core.laboratory.running import run_experiment
    from bioprune_core.laboratory.speed import with_speed
    from bioprune_core.laboratory.stages import complete, ended_in_order

    resolve_device(device)  # refused before anything is noted
    with opened_workspace() as workspace:
        store = CellStore.of(workspace)
        with _noted(workspace, asked, _base(config)) as record:
            prepared = prepare(workspace, asked, _base(config), record)
        experiment = with_speed(planned(prepared), prepared, store, device)
        folder = workspace.directory(record)
        experiment.write(folder)
        with ended_in_order(), progress_bars(as_json) as report, _shown_as_running(folder, record):
            computed = run_experiment(store, prepared, device, report, retry=retry)
        complete(store, experiment, folder)
        failed = len(status_of(store, experiment).failed)
    result = {
        "experiment": asked.name,
        "cells": computed.cells,
        "computed": computed.computed,
        "failed": failed,
    }
    told = f"{computed.computed:,} of {computed.cells:,} cells computed now, {failed:,} failed."
    print_result(result, as_json, f"{told} Read the report: bioprune experiment report {config}")
    if failed:
        raise typer.Exit(StageError.exit_code)


@commands.command()
def status(config: ConfigArgument, as_json: JsonOption = False) -> None:
    """How far an experiment is, and what is left will take.

    Example: bioprune experiment status rna-2k.toml
    """
    with opened_workspace(make=False) as workspace:
        experiment, _ = _planned(workspace, config)
        found = status_of(CellStore.of(workspace), experiment)
    result = {
        "experiment": experiment.config.name,
        "networks": found.networks,
        "networks_done": found.networks_done,
        "evaluations": found.evaluations,
        "evaluations_done": found.evaluations_done,
        "running": found.running,
        "failed": found.failed,
        "remaining_seconds": None if found.remaining is None else found.remaining.seconds,
    }
    print_result(result, as_json, "\n".join(_sentences(found)))


@commands.command()
def report(
    config: ConfigArgument,
    output: Annotated[Path | None, typer.Option(help="Folder for report.md, .tex, .csv and .json.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The results so far: to read here, or in four formats in a folder.

    Example: bioprune experiment report rna-2k.toml --output results
    """
    with opened_workspace(make=False) as workspace:
        experiment, record = _planned(workspace, config)
        fine_tuned = was_fine_tuned(workspace, experiment.config, record)
        found = gather(CellStore.of(workspace), experiment, fine_tuned)
    if output is None:
        print(report_json(found) if as_json else report_markdown(found))
        return
    for ending, render in _RENDERINGS.items():
        with atomic_path(output / f"report.{ending}") as part:
            part.write_text(render(found), encoding="utf-8")
    result = {"experiment": experiment.config.name, "output": str(output)}
    print_result(result, as_json, f"Reports in {output}")


def _queue(asked: ExperimentConfig, base: Path, device: str, as_json: bool) -> None:
    """Leave an experiment to a worker unless it is computed already."""
    with opened_workspace() as workspace:
        # Where none is given, an experiment keeps the one that it has.
        record = _registered(workspace, asked, base, None if device == "auto" else device)
        outcome = carry_out(workspace, JobKind.EXPERIMENT, record, queue=True, quiet=as_json)
    if outcome is None:
        print_result({"id": record.id}, as_json, "It is computed already.")
    else:
        print_result(outcome, as_json, f"Queued as job {outcome['job']}. Watch it: bioprune jobs")


def _base(path: Path) -> Path:
    """The folder that paths of tasks are relative to."""
    return path.resolve().parent


@contextmanager
def _shown_as_running(folder: Path, record: Experiment) -> Iterator[None]:
    """Keep others from changing or deleting the experiment meanwhile; whoever comes second just helps."""
    with ExitStack() as stack:
        with suppress(ConflictError):
            stack.enter_context(hold(folder / JOB_LOCK, f"experiment {record.id}", wait_s=0))
        yield


@contextmanager
def _noted(workspace: Workspace, config: ExperimentConfig, base: Path) -> Iterator[Experiment]:
    """The experiment as `_registered` has it; a new one is forgotten where what follows refuses it."""
    known = {experiment.id for experiment in workspace.experiments(config.project)}
    record = _registered(workspace, config, base)
    with nullcontext() if record.id in known else forgotten_on_error(workspace, record):
        yield record


def _registered(
    workspace: Workspace, config: ExperimentConfig, base: Path, device: str | None = None
) -> Experiment:
    """The experiment of this name with these settings: made where there is none, changed where it differs.

    A device is that of a worker; here and now the command's own is taken.
    """
    try:
        found = workspace.experiment(config.name, config.project)
    except NotFoundError:
        place = "auto" if device is None else device
        return workspace.create_experiment(config.project, config.to_json(), base, place)
    known = ExperimentPlan.from_json(workspace.config(found))
    moves = device not in (None, known.device) and workspace.state(found) is not State.DONE
    if moves or not _is_as_asked(workspace, found, config, base):
        workspace.revise_experiment(found, config.to_json(), base, device)
    return found


def _is_as_asked(workspace: Workspace, record: Experiment, config: ExperimentConfig, base: Path) -> bool:
    known = ExperimentPlan.from_json(workspace.config(record))
    return (ExperimentConfig.from_json(known.settings), known.base) == (config, str(base))


def _planned(workspace: Workspace, path: Path) -> tuple[PlannedExperiment, Experiment | None]:
    """The plan as it was kept, or made now where the file has changed since; and the experiment's record."""
    config, base = read_experiment(path), _base(path)
    try:
        record = workspace.experiment(config.name, config.project)
    except NotFoundError:
        return planned(prepare(workspace, config, base)), None
    kept = read_planned(workspace.directory(record))
    if kept is not None and kept.config == config and _is_as_asked(workspace, record, config, base):
        return kept, record
    return planned(prepare(workspace, config, base, record)), record


def _sentences(found: ExperimentStatus) -> list[str]:
    sentences = [
        f"{found.networks_done:,} of {found.networks:,} networks and {found.evaluations_done:,} of "
        f"{found.evaluations:,} measurements are done; being computed: {found.running:,}."
    ]
    if found.failed:
        reasons = sorted(set(found.failed.values()))
        sentences += [f"{len(found.failed):,} failed:", *[f"  {reason}" for reason in reasons]]
    if found.is_done:
        sentences.append("Nothing is left to compute.")
    elif found.remaining is None:
        sentences.append("What it will take is measured as it starts.")
    else:
        sentences.append(
            f"What is left will take about {found.remaining.seconds / 60:.0f} min on one machine."
        )
        for task, protocol, count in found.remaining.unmeasured:
            sentences.append(f"  Not counting {count:,} of {task} ({protocol}), which none was measured of.")
    return sentences
