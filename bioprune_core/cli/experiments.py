"""Commands on experiments: experiment run, status, report."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bioprune_core.cli.execution import opened_workspace
from bioprune_core.cli.output import JsonOption, print_result, progress_bars
from bioprune_core.experiments import (
    read_experiment,
    report_csv,
    report_json,
    report_latex,
    report_markdown,
)
from bioprune_core.laboratory import CellStore, ExperimentStatus, Prepared, gather, prepare, status_of
from bioprune_core.storage import atomic_path

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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    retry: Annotated[bool, typer.Option("--retry", help="Try cells that failed again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compute every network and measurement that is missing.

    It can be interrupted, continued, and started on several machines that share the workspace at once.

    Example: bioprune experiment run rna-2k.toml
    """
    # Torch, for this command alone.
    from bioprune_core.laboratory.running import run_experiment

    with _prepared(config) as (store, prepared):
        with progress_bars(as_json) as report:
            outcome = run_experiment(store, prepared, device, report, retry=retry)
        found = status_of(store, prepared)
        result = {
            "experiment": prepared.config.name,
            "cells": outcome.cells,
            "computed": outcome.computed,
            "failed": len(found.failed),
        }
        told = f"{outcome.computed:,} of {outcome.cells:,} cells computed now, {len(found.failed):,} failed."
        print_result(result, as_json, f"{told} Read the report: bioprune experiment report {config}")


@commands.command()
def status(config: ConfigArgument, as_json: JsonOption = False) -> None:
    """How far an experiment is, and what is left will take.

    Example: bioprune experiment status rna-2k.toml
    """
    with _prepared(config) as (store, prepared):
        found = status_of(store, prepared)
        result = {
            "experiment": prepared.config.name,
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
    with _prepared(config) as (store, prepared):
        found = gather(store, prepared)
    if output is None:
        print(report_json(found) if as_json else report_markdown(found))
        return
    for ending, render in _RENDERINGS.items():
        with atomic_path(output / f"report.{ending}") as part:
            part.write_text(render(found), encoding="utf-8")
    print_result({"experiment": prepared.config.name, "output": str(output)}, as_json, f"Reports in {output}")


@contextmanager
def _prepared(path: Path) -> Iterator[tuple[CellStore, Prepared]]:
    config = read_experiment(path)
    with opened_workspace() as workspace:
        yield CellStore.of(workspace), prepare(workspace, config, path.resolve().parent)


def _sentences(found: ExperimentStatus) -> list[str]:
    sentences = [
        f"{found.networks_done:,} of {found.networks:,} networks and {found.evaluations_done:,} of "
        f"{found.evaluations:,} measurements are done; {found.running:,} are being computed."
    ]
    if found.failed:
        reasons = sorted(set(found.failed.values()))
        sentences += [f"{len(found.failed):,} failed:", *[f"  {reason}" for reason in reasons]]
    if found.is_done:
        sentences.append("Nothing is left to compute.")
    elif found.remaining is None:
        sentences.append("What is left will take is known once a network is trained.")
    else:
        sentences.append(
            f"What is left will take about {found.remaining.seconds / 60:.0f} min on one machine."
        )
        for task, protocol, count in found.remaining.unmeasured:
            sentences.append(f"  Not counting {count:,} of {task} ({protocol}), which none was measured of.")
    return sentences
