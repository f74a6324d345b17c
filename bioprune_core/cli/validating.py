"""The command that checks influence against retraining: validate."""

from pathlib import Path
from typing import Annotated

import typer

from bioprune_core.cli.output import JsonOption, print_result, progress_bars
from bioprune_core.demo.sample import SAMPLE
from bioprune_core.errors import InputError, MissingFileError
from bioprune_core.sequences import IngestOptions
from bioprune_core.validation import ValidationConfig

__all__ = ["register"]

_DEFAULT = ValidationConfig()


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(validate)


def validate(
    output: Annotated[Path, typer.Option(help="Folder for the losses of the models and the report.")],
    source: Annotated[
        Path | None, typer.Argument(help="Sequence file; the sample that comes with BioPrune by default.")
    ] = None,
    models: Annotated[int, typer.Option(help="Models on random parts of the pool.")] = _DEFAULT.models,
    sequences: Annotated[int, typer.Option(help="Sequences of the pool.")] = _DEFAULT.sequences,
    keep: Annotated[float, typer.Option(help="Part of the pool for each model.")] = _DEFAULT.keep_share,
    group_size: Annotated[int, typer.Option(help="Sequences of a group.")] = _DEFAULT.group_size,
    architecture: Annotated[str, typer.Option(help="rna-fm, esm-2 or esm-c.")] = _DEFAULT.architecture,
    scale: Annotated[str, typer.Option(help="tiny, small, base or full.")] = _DEFAULT.scale,
    steps: Annotated[int, typer.Option(help="Optimiser steps of each model.")] = _DEFAULT.steps,
    base_steps: Annotated[int, typer.Option(help="Of the base that all start from.")] = _DEFAULT.base_steps,
    learning_rate: Annotated[float, typer.Option(help="Peak of each training.")] = _DEFAULT.learning_rate,
    token_budget: Annotated[int, typer.Option(help="Tokens of a step.")] = _DEFAULT.token_budget,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = _DEFAULT.seed,
    as_json: JsonOption = False,
) -> None:
    """Check influence against retraining: does it predict what leaving a sequence out of training does?

    Trains small models with and without random parts of a pool, and compares influence with memorisation and
    with the loss of left-out groups, beside loss, gradient norm and length. The same command again goes on
    where it was interrupted. The defaults take about an hour on two cores.

    Examples:

        bioprune validate --output validation

        bioprune validate my_rnas.fasta.gz --output quick --models 8 --sequences 120 --steps 60
    """
    from bioprune_core.validation import run_validation

    given = source or SAMPLE
    if not given.exists():
        raise MissingFileError(f"There is no file {given}. Name a sequence file to draw the pool from.")
    if given.is_dir():
        raise InputError(f"{given} is a folder. Name a sequence file to draw the pool from.")
    config = ValidationConfig(
        models=models,
        sequences=sequences,
        keep_share=keep,
        group_size=group_size,
        architecture=architecture,
        scale=scale,
        base_steps=base_steps,
        steps=steps,
        learning_rate=learning_rate,
        token_budget=token_budget,
        seed=seed,
    )
    with progress_bars(as_json) as report:
        summary = run_validation(given, output, config, IngestOptions(minimum_length=30), report)
    found = summary["memorisation"]["masked"], summary["datamodelling"]["masked"]
    sentence = (
        f"Memorisation. {found[0]['sentence']}\nLinear datamodelling score. {found[1]['sentence']}\n"
        f"The whole report: {output / 'report.md'}"
    )
    print_result(summary, as_json, sentence)
