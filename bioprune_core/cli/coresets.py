"""Commands on coresets: select, export, recreate."""

import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from bioprune_core.cli.execution import opened_workspace
from bioprune_core.cli.output import ForceOption, JsonOption, print_result, refuse_existing
from bioprune_core.errors import ConflictError, InputError, MissingFileError, NotFoundError
from bioprune_core.selection import Measure, SelectionConfig, StrataKind, Strategy, selection_from_json
from bioprune_core.sequences.file_names import packing
from bioprune_core.workspace import (
    Coreset,
    ExportFormat,
    Run,
    Workspace,
    export_coreset,
    export_provenance,
    provenance_files,
    read_coreset_manifest,
)
from bioprune_core.workspace.manifests import MANIFEST_LIMIT_BYTES

__all__ = ["find_or_create_coreset", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(select)
    app.command()(export)
    app.command()(recreate)


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
    format: Annotated[
        ExportFormat | None,
        typer.Option(
            help="What to write; by default what the file's name ends in, and FASTA on standard output."
        ),
    ] = None,
    force: ForceOption = False,
    project: Annotated[str | None, typer.Option(help="Where the name is taken twice.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a coreset as FASTA, CSV, Parquet or ids. The same coreset always gives the same bytes.

    Beside a file come its manifest, FILE.manifest.json, from which `bioprune recreate` makes the coreset
    again, and a paragraph for the methods section of a paper, FILE.methods.txt. None of the three may exist,
    unless --force is given.

    Examples:

        bioprune export cci-10 --output cci-10.fasta.gz

        bioprune export cci-10 --format ids --output - | head
    """
    chosen = _format(output, format)
    if str(output) != "-":
        refuse_existing([output, *provenance_files(output)], force)
    with opened_workspace(make=False) as workspace:
        record = workspace.coreset(coreset, project)
        if str(output) == "-":
            export_coreset(workspace, record, chosen, sys.stdout.buffer)
            return
        export_coreset(workspace, record, chosen, output)
        manifest, methods = export_provenance(workspace, record, output)
        rows = workspace.manifest(record)["sequences"]
        result = {
            "coreset": record.id,
            "format": str(chosen),
            "output": str(output),
            "sequences": rows,
            "manifest": str(manifest),
            "methods": str(methods),
        }
        told = f"{rows:,} sequences in {output}; how they were chosen in {manifest.name} and {methods.name}."
        print_result(result, as_json, told)


def recreate(
    manifest: Annotated[Path, typer.Argument(help="The .manifest.json beside an exported coreset.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the new coreset; by default that of the old one.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Where it is to be; by default where its run is.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a coreset again from its manifest, with the very same members.

    The run that it was selected from has to be here, or one with the same scores.

    Example: bioprune recreate cci-10.fasta.manifest.json --name cci-10-again
    """
    found = read_coreset_manifest(_read(manifest))
    chosen = found.name if name is None else name
    if not chosen:
        raise InputError(f"{manifest} does not say what the coreset was called. Give it a name: --name.")
    with opened_workspace() as workspace:
        record = workspace.recreate_coreset(found.coreset, chosen, project)
        made = workspace.manifest(record)
        result = {"coreset": record.name, "id": record.id, "manifest": made}
        print_result(
            result, as_json, f"{record.name}: the same {made['sequences']:,} sequences ({record.id})."
        )


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


def _format(output: Path, asked: ExportFormat | None) -> ExportFormat:
    """What is asked for, or what the name of the file ends in.

    Raises:
        InputError: The name says something else, or nothing where nothing is asked for.
    """
    if str(output) == "-":
        return asked or ExportFormat.FASTA
    named = ExportFormat.of_file(output.name)
    if named is None and (packed := packing(output.name)):
        raise InputError(
            f"{output.name} would be a packed file, and only FASTA is packed, by gzip. End the name in "
            f".fasta.gz, or leave {packed} off."
        )
    if asked is None and named is None:
        endings = ", ".join(each.suffix for each in ExportFormat)
        raise InputError(
            f"{output.name} does not say what to write. End it in one of {endings}, or give --format."
        )
    if asked and named and asked is not named:
        raise InputError(
            f"{output.name} is a name for {named}, but --format is {asked}. Leave --format out, or end the "
            f"name in {asked.suffix}."
        )
    chosen = asked or named
    assert chosen is not None
    return chosen


def _read(manifest: Path) -> bytes:
    """The file, but not all of one that is too large for a manifest."""
    try:
        with manifest.open("rb") as stream:
            return stream.read(MANIFEST_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise MissingFileError(f"{manifest} does not exist. Check the path.") from error
    except OSError as error:
        raise InputError(f"{manifest} cannot be read: {error.strerror}. Check the path.") from error


def _decimal(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"--{name} is {text!r}; give a percentage such as 90 or 99.5.") from error
