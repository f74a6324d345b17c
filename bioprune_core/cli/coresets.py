"""Commands on coresets: select, export."""

import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from bioprune_core.cli.execution import opened_workspace
from bioprune_core.cli.output import JsonOption, print_result
from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.selection import Measure, SelectionConfig, StrataKind, Strategy, selection_from_json
from bioprune_core.workspace import Coreset, ExportFormat, Run, Workspace, export_coreset

__all__ = ["find_or_create_coreset", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(select)
    app.command()(export)


def select(
    run: Annotated[str, typer.Argument(help="Name or id of a finished run.")],
    name: Annotated[str, typer.Option(help="Name of the coreset.")],
    strategy: Annotated[Strategy, typer.Option(help="How to choose.")] = Strategy.COVERAGE_CENTRIC,
    alpha: Annotated[str, typer.Option(help="Prune rate in percent, an exact decimal.")] = "90",
    beta: Annotated[str, typer.Option(help="Hardest cut in percent, coverage_centric only.")] = "5",
    strata: Annotated[int, typer.Option(help="k, the number of strata.")] = 50,
    strata_kind: Annotated[StrataKind, typer.Option(help="How strata are cut.")] = StrataKind.EQUAL_WIDTH,
    seed: Annotated[int, typer.Option(help="Of the sample inside a stratum.")] = 0,
    measure: Annotated[
        Measure,
        typer.Option(help="The score to go by: influence, or what its length does not explain of it."),
    ] = Measure.INFLUENCE,
    project: Annotated[str | None, typer.Option(help="Where the name is taken twice.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Choose a coreset from a run's scores and save it.

    Examples:

        bioprune select first --alpha 90 --beta 5 --strata 50 --seed 0 --name cci-10

        bioprune select first --strategy top_influence --alpha 99 --name top-1

        bioprune select first --measure length-adjusted --name cci-10-adjusted
    """
    config = SelectionConfig(
        strategy=strategy,
        prune_rate=_decimal("alpha", alpha),
        hardest_cut=_decimal("beta", beta) if strategy is Strategy.COVERAGE_CENTRIC else Decimal(0),
        strata=strata,
        strata_kind=strata_kind,
        seed=seed,
        measure=measure,
    )
    with opened_workspace() as workspace:
        record = find_or_create_coreset(workspace, workspace.run(run, project), name, config)
        manifest = workspace.manifest(record)
        result = {"coreset": name, "id": record.id, "manifest": manifest}
        sentence = (
            f"{name}: {manifest['sequences']:,} of {manifest['pool_sequences']:,} sequences ({record.id})."
        )
        notes = "".join(f"\nNote: {note}" for note in manifest["summary"]["warnings"])
        print_result(result, as_json, sentence + notes)


def export(
    coreset: Annotated[str, typer.Argument(help="Name or id of a coreset.")],
    output: Annotated[Path, typer.Option(help="File to write; - for standard output.")],
    format: Annotated[ExportFormat, typer.Option(help="What to write.")] = ExportFormat.FASTA,
    project: Annotated[str | None, typer.Option(help="Where the name is taken twice.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a coreset as FASTA, CSV, Parquet or ids. The same coreset always gives the same bytes.

    Examples:

        bioprune export cci-10 --format fasta --output cci-10.fasta

        bioprune export cci-10 --format ids --output - | head
    """
    with opened_workspace() as workspace:
        record = workspace.coreset(coreset, project)
        if str(output) == "-":
            export_coreset(workspace, record, format, sys.stdout.buffer)
            return
        export_coreset(workspace, record, format, output)
        rows = workspace.manifest(record)["sequences"]
        result = {"coreset": record.id, "format": str(format), "output": str(output), "sequences": rows}
        print_result(result, as_json, f"{rows:,} sequences in {output}")


def find_or_create_coreset(workspace: Workspace, run: Run, name: str, config: SelectionConfig) -> Coreset:
    """The coreset of this name when it is this very selection; a new one when there is none.

    Raises:
        ConflictError: The name stands for another selection.
    """
    try:
        existing = workspace.coreset(name, run.project_id)
    except NotFoundError:
        return workspace.create_coreset(run, name, config)
    made_with = selection_from_json(workspace.manifest(existing)["selection"])
    if existing.run_id != run.id or made_with != config:
        raise ConflictError(f'The coreset "{name}" is another selection. Choose another name.')
    return existing


def _decimal(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"--{name} is {text!r}; give a percentage such as 90 or 99.5.") from error
