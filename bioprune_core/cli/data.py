"""Commands on sequences: ingest, and what is in the workspace."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bioprune_core.alphabet import Alphabet
from bioprune_core.cli.execution import QueueOption, carry_out, opened_workspace, project_for
from bioprune_core.cli.output import JsonOption, print_result, print_table
from bioprune_core.errors import ConflictError, NotFoundError
from bioprune_core.jobs import JobClient, JobKind
from bioprune_core.sequences.changes import added_files, has_changed
from bioprune_core.sequences.inputs import check_label_column, find_files
from bioprune_core.sequences.options import AmbiguousPolicy, IngestOptions, LengthPolicy
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Dataset, DatasetConfig, Project, State, Workspace
from bioprune_core.workspace.configuration import CONFIG_FILE
from bioprune_core.workspace.deletion import needed_by
from bioprune_core.workspace.locks import JOB_LOCK, hold

__all__ = ["find_or_create_dataset", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(ingest)
    app.command("list")(list_everything)


def ingest(
    files: Annotated[list[Path], typer.Argument(help="Sequence files or folders, compressed or not.")],
    project: Annotated[str, typer.Option(help="Project; made when new.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset.")],
    alphabet: Annotated[Alphabet | None, typer.Option(help="Detected when not given.")] = None,
    ambiguous: Annotated[
        AmbiguousPolicy,
        typer.Option(help="Letters for more than one residue: keep, replace by N or X, drop."),
    ] = AmbiguousPolicy.KEEP,
    minimum_length: Annotated[int, typer.Option(help="Residues; shorter sequences are dropped.")] = 1,
    maximum_length: Annotated[int | None, typer.Option(help="Residues; see --too-long.")] = None,
    too_long: Annotated[LengthPolicy, typer.Option(help="Sequences above the maximum.")] = LengthPolicy.DROP,
    window_overlap: Annotated[int, typer.Option(help="Residues that two windows share.")] = 0,
    deduplicate: Annotated[bool, typer.Option(help="Collapse equal sequences.")] = True,
    sequence_column: Annotated[str | None, typer.Option(help="Name or number from 1; guessed.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Name or number from 1; guessed.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Name or number from 1.")] = None,
    label_pattern: Annotated[
        str | None, typer.Option(help="Regular expression over the header; its one group is the label.")
    ] = None,
    label_from_file_name: Annotated[bool, typer.Option(help="The file's name is the label.")] = False,
    queue: QueueOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read sequence files into a dataset and account for every record.

    Formats: FASTA, FASTQ, CSV, TSV, Parquet, Stockholm, dot-bracket, one sequence a line; plain or
    compressed by gz, bz2, xz or zst. The same command again finds what is there.

    Examples:

        bioprune ingest rnas.fasta.gz --project lab --dataset rnas --label-pattern '^(RF[0-9]+)'

        bioprune ingest table.csv --project lab --dataset t --sequence-column seq --maximum-length 1022
    """
    options = IngestOptions(
        alphabet=alphabet,
        ambiguous=ambiguous,
        minimum_length=minimum_length,
        maximum_length=maximum_length,
        too_long=too_long,
        window_overlap=window_overlap,
        deduplicate=deduplicate,
        sequence_column=sequence_column,
        id_column=id_column,
        label_column=label_column,
        label_pattern=label_pattern,
        label_from_file_name=label_from_file_name,
    )
    with opened_workspace() as workspace:
        with project_for(workspace, project) as owner:
            record = find_or_create_dataset(workspace, owner, dataset, files, options)
        outcome = carry_out(workspace, JobKind.INGEST, record, queue=queue, quiet=as_json)
        if outcome is not None:
            print_result(outcome, as_json, f"Queued as job {outcome['job']}. Watch it: bioprune jobs")
            return
        report = read_json(workspace.directory(record) / "report.json")
        manifest = workspace.manifest(record)
        result = {
            "project": project,
            "dataset": dataset,
            "id": record.id,
            "manifest": manifest,
            "report": report,
        }
        print_result(result, as_json, _account(dataset, manifest, report))


def find_or_create_dataset(
    workspace: Workspace, project: Project, name: str, files: list[Path], options: IngestOptions
) -> Dataset:
    """The dataset of this name when it was made from these files and options; a new one when there is none.

    One that was to be made otherwise and never was, because that failed or was ended, takes these instead.

    Raises:
        InputError: A file is missing or no sequence file, or has no such column.
        ConflictError: The name stands for something else, or a file has changed since it was read.
    """
    paths = [path.expanduser().absolute() for path in files]
    try:
        existing = workspace.dataset(name, project)
    except NotFoundError:
        _refuse_unreadable(paths, options)
        return workspace.create_dataset(project, name, files, options.to_json())
    config = DatasetConfig.from_json(workspace.config(existing))
    if config.files != tuple(map(str, paths)) or IngestOptions.from_json(dict(config.options)) != options:
        _refuse_depended_on(workspace, project, existing)
        _refuse_unreadable(paths, options)
        _revise(workspace, existing, DatasetConfig(tuple(map(str, paths)), options.to_json(), ()))
        return existing
    if workspace.state(existing) is State.DONE:
        _refuse_changed(existing, config.files, workspace.manifest(existing), options)
    return existing


def _refuse_unreadable(paths: Sequence[Path], options: IngestOptions) -> None:
    """Refuse what the beginnings of the files tell before anything is noted."""
    found, _ = find_files(paths, options)
    check_label_column(found, options)


def _refuse_depended_on(workspace: Workspace, project: Project, dataset: Dataset) -> None:
    """Refuse to make a dataset otherwise that is finished, or that something is, or is to be, made from."""
    made = f'The dataset "{dataset.name}" in "{project.name}" was made from other files or with other options'
    if workspace.state(dataset) is State.DONE:
        raise ConflictError(
            f"{made}. Choose another name; a dataset never changes once runs may depend on it."
        )
    if needed := needed_by(workspace.catalogue, workspace.layout, dataset):
        raise ConflictError(f"{made}; choose another name, since it is {needed}")
    with JobClient(workspace) as client:
        job = client.find(dataset.id)
    if job is not None and not job.state.is_final:
        raise ConflictError(
            f"{made}, and the job {job.id} is to read them. Choose another name, or cancel that job: "
            f"bioprune jobs cancel {job.id}"
        )


def _revise(workspace: Workspace, dataset: Dataset, config: DatasetConfig) -> None:
    """Give a dataset other files and options, unless another process reads it, or has by now."""
    directory = workspace.directory(dataset)
    with hold(directory / JOB_LOCK, f'the dataset "{dataset.name}"'):
        if workspace.state(dataset) is State.DONE:
            raise ConflictError(f'The dataset "{dataset.name}" was finished meanwhile. Choose another name.')
        write_json(directory / CONFIG_FILE, config.to_json())


def _refuse_changed(
    dataset: Dataset, given: Sequence[str], manifest: Mapping[str, Any], options: IngestOptions
) -> None:
    """Refuse a dataset whose files hold something else now; files that are gone tell nothing."""
    remedy = "Choose another name; a dataset never changes once runs may depend on it."
    paths, known = [Path(each) for each in given], set[Path]()
    for entry in manifest["inputs"]:
        path = _input_path(entry["name"], paths)
        if path is None:
            continue
        known.add(path)
        if has_changed(path, entry, manifest):
            raise ConflictError(
                f'{path} has changed since the dataset "{dataset.name}" was read from it. {remedy}'
            )
    for folder in filter(Path.is_dir, paths):
        if added := added_files(folder, known, manifest, options):
            raise ConflictError(
                f'{added[0]} was added since the dataset "{dataset.name}" was read from its folder. {remedy}'
            )


def _input_path(name: str, given: Sequence[Path]) -> Path | None:
    """Where an input of a dataset lies; None where it is gone.

    Its name is its path within the folder that was given, or the end of its whole path.
    """
    parts = Path(name).parts
    for path in given:
        if path.is_file() and path.parts[-len(parts) :] == parts:
            return path
        for shared in range(len(parts)):
            inside = path.joinpath(*parts[shared:])
            if path.parts[len(path.parts) - shared :] == parts[:shared] and inside.is_file():
                return inside
    return None


def _account(name: str, manifest: Any, report: Any) -> str:
    alphabet = Alphabet(manifest["alphabet"])
    kind = alphabet if alphabet is Alphabet.PROTEIN else alphabet.upper()
    read, kept = report["read"], report["kept"]
    lines = [
        f"{name}: {manifest['sequences']:,} {kind} sequences, "
        f"{manifest['minimum_length']:,} to {manifest['maximum_length']:,} {alphabet.unit}.",
        f"Read {read:,} records = kept {kept:,} + dropped {read - kept:,}.",
    ]
    if labels := report.get("labels"):  # Reports written before labels were counted have none.
        labelled, different = labels["sequences"], labels["different"]
        lines.append(
            f"Labels: {labelled:,} of {manifest['sequences']:,} sequences have one, {different:,} different."
        )
    for title, reasons in (("dropped", report["dropped"]), ("changed", report["changed"])):
        lines += [f"  {title}, {reason}: {entry['count']:,}" for reason, entry in sorted(reasons.items())]
    return "\n".join([*lines, *report["notes"]])


def list_everything(
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List projects with their datasets, models, runs, coresets and experiments.

    Example: bioprune list --project lab
    """
    with opened_workspace(make=False) as workspace:
        projects = workspace.projects() if project is None else [workspace.project(project)]
        rows = [
            {
                "project": owner.name,
                "kind": type(record).__name__.lower(),
                "name": record.name,
                "state": str(workspace.state(record)),
                "created": record.created,
                "id": record.id,
            }
            for owner in projects
            for records in (
                workspace.datasets(owner),
                workspace.models(owner),
                workspace.runs(owner),
                workspace.coresets(owner),
                workspace.experiments(owner),
            )
            for record in records
        ]
    print_table(rows, as_json, "Nothing here yet. Start with: bioprune ingest FILE --project P --dataset D")
