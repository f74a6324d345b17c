"""Taking coresets and scores out of the workspace, streaming, with the same bytes every time."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core.errors import ConflictError, InputError, StorageError
from bioprune_core.storage import atomic_path, read_json
from bioprune_core.workspace.configuration import CONFIG_FILE
from bioprune_core.workspace.formats import Drain, ExportFormat, TableWriter, table_writer
from bioprune_core.workspace.methods import methods_paragraph
from bioprune_core.workspace.positioned import PositionedTable
from bioprune_core.workspace.records import Coreset, Run
from bioprune_core.workspace.state import is_complete

if TYPE_CHECKING:
    from bioprune_core.workspace.workspace import Workspace

__all__ = [
    "export_coreset",
    "export_manifest",
    "export_provenance",
    "export_scores",
    "provenance_files",
    "stream_coreset",
    "stream_scores",
]

_POOL_COLUMNS = ("id", "description", "label", "source", "length", "duplicates", "hash", "sequence")
_FEWER_COLUMNS = {
    ExportFormat.FASTA: ("id", "description", "hash", "sequence"),
    ExportFormat.FASTA_GZ: ("id", "description", "hash", "sequence"),
    ExportFormat.IDS: ("id", "hash"),
}
"""What these formats write, and the hash that is checked; nearly all row groups of a pool are decoded."""
_SCORE_COLUMNS = ("hash", "influence", "loss", "tokens", "gradient_norm")
_BATCH = 8_192
"""Rows at a time. At a prune rate of 90 % a batch touches about ten row groups of the pool."""


def export_coreset(
    workspace: "Workspace", coreset: Coreset, file_format: ExportFormat | str, output: Path | IO[bytes]
) -> None:
    """Write the members of a coreset, in the order of their positions in the pool.

    Args:
        workspace: The workspace.
        coreset: The coreset.
        file_format: fasta, fasta.gz (header: id and description), csv, parquet (all columns of the pool
            with influence, loss, tokens and gradient_norm) or ids (one a line).
        output: A file, which appears whole or not at all, or a binary stream.

    Raises:
        InputError: Unknown format.
        StorageError: The disk is full, or files of the workspace are damaged or changed.
    """
    chosen = _format(file_format)
    _write(_coreset_tables(workspace, coreset, chosen), chosen, output)


def stream_coreset(
    workspace: "Workspace", coreset: Coreset, file_format: ExportFormat | str
) -> Iterator[bytes]:
    """The bytes that `export_coreset` writes, in pieces of some megabytes, for a download."""
    chosen = _format(file_format)
    return _pieces(_coreset_tables(workspace, coreset, chosen), chosen)


def export_scores(
    workspace: "Workspace", run: Run, output: Path | IO[bytes], file_format: ExportFormat | str = "parquet"
) -> None:
    """Write the scores of a finished run with id, label and length of each sequence that has one.

    Args:
        workspace: The workspace.
        run: The run.
        output: A file, which appears whole or not at all, or a binary stream.
        file_format: parquet or csv.

    Raises:
        InputError: A format that has no place for scores.
        ConflictError: The run is not finished.
        StorageError: The disk is full, or files of the workspace are damaged.
    """
    _write(_score_tables(workspace, run), _score_format(file_format), output)


def stream_scores(
    workspace: "Workspace", run: Run, file_format: ExportFormat | str = "parquet"
) -> Iterator[bytes]:
    """The bytes that `export_scores` writes, in pieces of some megabytes, for a download."""
    return _pieces(_score_tables(workspace, run), _score_format(file_format))


def export_manifest(workspace: "Workspace", coreset: Coreset) -> bytes:
    """The manifest of a coreset together with that of its run, as one JSON document."""
    run = workspace.catalogue.get(Run, coreset.run_id)
    both = {
        "name": coreset.name,
        "coreset": workspace.manifest(coreset),
        "run": workspace.manifest(run),
    }
    return (json.dumps(both, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def provenance_files(exported: Path) -> tuple[Path, Path]:
    """Where the manifest and the methods paragraph of an exported coreset go, beside its file."""
    return (
        exported.with_name(f"{exported.name}.manifest.json"),
        exported.with_name(f"{exported.name}.methods.txt"),
    )


def export_provenance(workspace: "Workspace", coreset: Coreset, exported: Path) -> tuple[Path, Path]:
    """Write how a coreset was made beside the file that it was exported to.

    Args:
        workspace: The workspace.
        coreset: The coreset.
        exported: The file, such as cci-10.fasta.

    Returns:
        The manifest, cci-10.fasta.manifest.json, and the methods paragraph, cci-10.fasta.methods.txt.

    Raises:
        StorageError: The disk is full or not writable.
    """
    files = provenance_files(exported)
    methods = methods_paragraph(workspace, coreset)
    contents = (export_manifest(workspace, coreset), f"{methods}\n".encode())
    for path, content in zip(files, contents, strict=True):
        with atomic_path(path) as part:
            part.write_bytes(content)
    return files


def _format(name: ExportFormat | str) -> ExportFormat:
    try:
        return ExportFormat(name)
    except ValueError as error:
        known = ", ".join(ExportFormat)
        raise InputError(f'There is no export format "{name}". Choose one of {known}.') from error


def _score_format(name: ExportFormat | str) -> ExportFormat:
    chosen = _format(name)
    if not _needs_scores(chosen):
        raise InputError(f"Scores cannot be written as {chosen}. Choose parquet or csv.")
    return chosen


def _needs_scores(file_format: ExportFormat) -> bool:
    return file_format in (ExportFormat.CSV, ExportFormat.PARQUET)


def _coreset_tables(
    workspace: "Workspace", coreset: Coreset, file_format: ExportFormat
) -> Iterator[pa.Table]:
    run_directory = workspace.layout.run(coreset.run_id)
    pool = _pool_of(workspace, run_directory, _FEWER_COLUMNS.get(file_format, _POOL_COLUMNS))
    scores = None
    if _needs_scores(file_format):
        scores = PositionedTable(run_directory / "scores", _SCORE_COLUMNS, gaps=True)
    path = workspace.directory(coreset) / "members.parquet"
    try:
        members = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path} is missing or damaged.", detail=str(error)) from error
    yield _with_scores(pool, scores, np.empty(0, dtype=np.int64))  # The schema, also of an empty coreset.
    for batch in members.iter_batches(batch_size=_BATCH):
        positions = batch["position"].to_numpy()
        table = _with_scores(pool, scores, positions)
        if not table["hash"].combine_chunks().equals(batch["hash"]):
            raise StorageError(
                f"The pool of coreset {coreset.name} is not the one it was selected from: sequences at the "
                "same positions differ. Restore the dataset's folder."
            )
        yield table


def _score_tables(workspace: "Workspace", run: Run) -> Iterator[pa.Table]:
    directory = workspace.directory(run)
    if not is_complete(directory):
        raise ConflictError(f'The run "{run.name}" is not finished; its scores cannot be exported yet.')
    pool = _pool_of(workspace, directory, ("id", "label", "length"))
    for scores in PositionedTable(directory / "scores", _SCORE_COLUMNS, gaps=True).scan():
        about = pool.take(scores["position"].to_numpy())
        yield pa.table(
            {
                "id": about["id"],
                **{name: scores[name] for name in ("position", *_SCORE_COLUMNS)},
                "length": about["length"],
                "label": about["label"],
            }
        )


def _pool_of(workspace: "Workspace", run_directory: Path, columns: tuple[str, ...]) -> PositionedTable:
    dataset_id = read_json(run_directory / CONFIG_FILE)["dataset_id"]
    return PositionedTable(workspace.layout.dataset(dataset_id) / "sequences", columns)


def _with_scores(
    pool: PositionedTable,
    scores: PositionedTable | None,
    positions: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> pa.Table:
    table = pool.take(positions)
    if scores is None:
        return table
    scored = scores.take(positions)
    for name in _SCORE_COLUMNS[1:]:
        table = table.append_column(name, scored[name])
    return table


def _write(tables: Iterator[pa.Table], file_format: ExportFormat, output: Path | IO[bytes]) -> None:
    if isinstance(output, Path):
        with atomic_path(output) as part, part.open("wb") as stream:
            _write(tables, file_format, stream)
        return
    for _ in _steps(tables, file_format, output):
        pass


def _pieces(tables: Iterator[pa.Table], file_format: ExportFormat) -> Iterator[bytes]:
    drain = Drain()
    for _ in _steps(tables, file_format, cast(IO[bytes], drain)):
        piece = drain.take()
        if piece:
            yield piece


def _steps(tables: Iterator[pa.Table], file_format: ExportFormat, stream: IO[bytes]) -> Iterator[None]:
    """Write table after table, pausing after each."""
    writer: TableWriter | None = None
    for table in tables:
        writer = writer or table_writer(file_format, table.schema, stream)
        writer.write(table)
        yield
    if writer is not None:
        writer.finish()
        yield
