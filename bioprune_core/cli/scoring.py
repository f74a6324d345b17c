"""Commands on scores: score, scores."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bioprune_core.cli.execution import (
    DeviceOption,
    QueueOption,
    carry_out,
    opened_workspace,
)
from bioprune_core.cli.models import chosen
from bioprune_core.cli.output import ForceOption, JsonOption, print_result, progress_bars, refuse_existing
from bioprune_core.cli.scorers import usable_model
from bioprune_core.diagnostics import trust_sentences
from bioprune_core.errors import ConflictError, InputError
from bioprune_core.estimate import RunCost
from bioprune_core.influence.configuration import DEFAULT_TOKEN_BUDGET
from bioprune_core.jobs import JobKind, run_in_foreground
from bioprune_core.training.presets import subset_fine_tuning
from bioprune_core.workspace import (
    ExportFormat,
    Run,
    RunConfig,
    Workspace,
    export_scores,
    notes_of_run,
)
from bioprune_core.workspace.names import name_key

__all__ = ["find_or_create_run", "register"]

_SMALL, _LARGE = subset_fine_tuning(1), subset_fine_tuning(1 << 40)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(score)
    app.command()(scores)


def score(
    project: Annotated[str, typer.Option(help="Project of the dataset.")],
    dataset: Annotated[str, typer.Option(help="The pool to score.")],
    model: Annotated[str, typer.Option(help="A model of the project, a known name, a path or a hub id.")],
    subset: Annotated[
        int, typer.Option(help="Sequences to fine-tune on and to take the Fisher from.")
    ] = 2000,
    epochs: Annotated[
        float | None,
        typer.Option(help=f"Passes of the fine-tuning; {_SMALL.epochs:g} by default, 0 for none."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help=f"Peak of the fine-tuning's schedule; {_SMALL.learning_rate:g} by default for models of "
            f"fewer than 10 million parameters, {_LARGE.learning_rate:g} for larger ones."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the subset, masks and batches.")] = 0,
    token_budget: Annotated[
        int | None,
        typer.Option(
            help="Tokens in a scoring batch, pads included; by default found by trial on a GPU, "
            f"{DEFAULT_TOKEN_BUDGET:,} on a processor."
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="The loss of a sequence: unmasked (one forward pass), masked (one for every mask) or "
            "paper-code (1,024 tokens with their pads, as the authors' code)."
        ),
    ] = "unmasked",
    masks: Annotated[
        int | None, typer.Option(help="Masks of a sequence under --objective masked; 8 by default.")
    ] = None,
    parameters: Annotated[
        str,
        typer.Option(
            help="What is differentiated: head, all-linear (about a training step a sequence), or names of "
            "linear layers with wildcards, divided by commas."
        ),
    ] = "head",
    precision: Annotated[
        str | None,
        typer.Option(
            help="Number format of the model's inner layers: auto (bf16 on a device that computes in it, by "
            "default), float32 or bf16."
        ),
    ] = None,
    too_long: Annotated[
        str | None,
        typer.Option(
            help="What happens to a sequence with more residues than the model takes: truncate (by default), "
            "window (all of it is scored, in windows) or refuse."
        ),
    ] = None,
    unscored_limit: Annotated[
        float | None,
        typer.Option(
            help="Share of the sequences that may stay without a score because a value of theirs is NaN or "
            "infinite; above it the run stops. 0.001 by default, 0 for none."
        ),
    ] = None,
    device: DeviceOption = "auto",
    diagnostics: Annotated[
        bool | None,
        typer.Option(
            "--diagnostics/--no-diagnostics",
            help="Compare with a second subset and other forms of the Fisher. By default where it makes the "
            "run at most a tenth longer.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help='Name of the run; "DATASET by MODEL" by default, numbered where taken.')
    ] = None,
    queue: QueueOption = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Measure a few batches and say what the run will take.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Adapt a model to a random subset, then score every sequence of a dataset by its influence.

    The same command again finds the finished run, or goes on with an unfinished one.

    Examples:

        bioprune score --project lab --dataset rnas --model small --subset 2000 --epochs 1

        bioprune score --project lab --dataset rnas --model rna-fm --device cuda --queue

        bioprune score --project lab --dataset rnas --model small --objective masked --masks 8

        bioprune score --project lab --dataset rnas --model rna-fm --estimate
    """
    if estimate and queue:
        raise InputError("Give one of --estimate and --queue: a few batches are measured here and now.")
    settings = {
        "subset_seed": seed,
        "training": chosen(epochs=epochs, learning_rate=learning_rate),
        "influence": chosen(
            token_budget=token_budget,
            precision=precision,
            objective=objective,
            masks=masks,
            parameters=_parameters(parameters),
            too_long=too_long,
            unscored_limit=unscored_limit,
        ),
        "diagnostics": chosen(enabled=diagnostics),
        "device": device,
    }
    with opened_workspace() as workspace:
        owner = workspace.project(project)
        pool = workspace.dataset(dataset, owner)
        with usable_model(workspace, owner, model) as scorer:
            config = workspace.plan_run(pool, scorer, subset, **settings)
            if estimate:
                _estimate(workspace, config, as_json)
                return
            run = find_or_create_run(workspace, config, name)
            outcome = carry_out(workspace, JobKind.SCORE, run, queue=queue, quiet=as_json)
        if outcome is not None:
            print_result(outcome, as_json, f"Queued as job {outcome['job']}. Watch it: bioprune jobs")
            return
        manifest = workspace.manifest(run)
        result = {"project": project, "run": run.name, "id": run.id, "manifest": manifest}
        print_result(result, as_json, _told(run, manifest))


def scores(
    run: Annotated[str, typer.Argument(help="Name or id of a finished run.")],
    output: Annotated[Path, typer.Option(help="File to write; its name ends in .parquet or .csv.")],
    force: ForceOption = False,
    project: Annotated[str | None, typer.Option(help="Where the name is taken twice.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Export every score of a run: id, label, length, influence, loss, gradient norm, tokens.

    The file must not exist, unless --force is given.

    Example: bioprune scores first --output scores.parquet
    """
    named = ExportFormat.of_file(output.name)
    if named not in (ExportFormat.PARQUET, ExportFormat.CSV):
        raise InputError(
            f"Scores are written as Parquet or CSV, and {output.name} is a name for neither. End it in "
            ".parquet or .csv."
        )
    refuse_existing([output], force)
    with opened_workspace(make=False) as workspace:
        record = workspace.run(run, project)
        export_scores(workspace, record, output, named)
        manifest = workspace.manifest(record)
        rows = manifest["scores"]["rows"]
        told = "\n".join([f"{rows:,} scores in {output}", *notes_of_run(manifest)])
        print_result({"run": record.id, "output": str(output), "rows": rows}, as_json, told)


def find_or_create_run(workspace: Workspace, config: Any, name: str | None) -> Run:
    """The run with exactly this configuration, finished or not; a new one when there is none.

    Raises:
        ConflictError: There is one of another name than the one asked for.
    """
    found = workspace.find_run(config)
    if found is None:
        return workspace.create_run(config, name)
    if name is not None and name_key(name) != name_key(found.name):
        raise ConflictError(
            f'The run "{found.name}" has exactly these settings. Leave --name out to use it, or change one.'
        )
    return found


def _estimate(workspace: Workspace, config: RunConfig, as_json: bool) -> None:
    """Measure what a run will take, unless that was done before, and print it."""
    identifier = workspace.plan_estimate(config)
    with progress_bars(as_json) as report:
        run_in_foreground(workspace, JobKind.ESTIMATE, identifier, report)
    cost = RunCost.from_json(workspace.estimate(config) or {})
    stages = ", ".join(f"{name} {_minutes(seconds)}" for name, seconds in cost.stages.items())
    memory = f"{cost.memory_bytes / 1e9:.1f} GB of memory"
    if cost.device_memory_bytes:
        memory += f", {cost.device_memory_bytes / 1e9:.1f} GB of it on the GPU"
    until = f", and {cost.cache_bytes / 1e9:.2f} GB until the run is done" if cost.cache_bytes else ""
    print_result(
        cost.to_json(),
        as_json,
        f"About {_minutes(cost.seconds)} on {cost.device} ({stages}).\n"
        f"{memory}; {cost.disk_bytes / 1e9:.2f} GB of disk{until}.\n"
        f"Extrapolated from {cost.batches} measured batches to {cost.tokens:,} tokens.",
    )


def _minutes(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


def _parameters(text: str) -> str | list[str]:
    """A named set as it is; else a list of layers, which have dots or wildcards in their names."""
    names = [name.strip() for name in text.split(",")]
    layers = len(names) > 1 or any(sign in text for sign in ".*?[")
    return names if layers else text


def _told(run: Run, manifest: Any) -> str:
    findings = "".join(f"{sentence}\n" for sentence in notes_of_run(manifest))
    findings += "".join(f"{found.question} {found.sentence}\n" for found in trust_sentences(manifest))
    return (
        f"{manifest['scores']['rows']:,} sequences scored in the run {run.name} ({run.id}).\n{findings}"
        f"Select from it: bioprune select {run.id} --alpha 90 --beta 5 --strata 50 --name my-coreset"
    )
