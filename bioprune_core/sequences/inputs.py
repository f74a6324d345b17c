"""The files of an ingest: found, named and looked at before any of them is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bioprune_core.errors import InputError
from bioprune_core.sequences.formats import SAMPLE_BYTES, UnrecognisedError
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.readers import Recognised, read_records, recognise
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.source import Compression, Limits, Source

__all__ = ["InputFile", "find_files", "survey"]


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read.

    Args:
        path: Where it is.
        name: Its name, or its path within the folder that was given.
        bytes: Its size.
        compression: How it is packed.
        recognised: Its format.
        sample: Its first records, as written.
    """

    path: Path
    name: str
    bytes: int
    compression: Compression
    recognised: Recognised
    sample: RecordBlock | None


def find_files(paths: Sequence[Path], options: IngestOptions) -> tuple[list[InputFile], list[str]]:
    """Look at every file, folders with all their files in order of name.

    Returns:
        The files, and sentences on files of folders that were skipped because they hold no sequences.

    Raises:
        InputError: A path is missing or unreadable, or a file given by name is no sequence file.
    """
    files: list[InputFile] = []
    notes: list[str] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
        if not path.is_dir():
            files.append(survey(path, path.name, options))
            continue
        found = [
            entry for entry in sorted(path.rglob("*")) if entry.is_file() and not _is_hidden(entry, path)
        ]
        before = len(files)
        for entry in found:
            name = entry.relative_to(path).as_posix()
            try:
                files.append(survey(entry, name, options))
            except UnrecognisedError as error:
                notes.append(f"Skipped in the folder {path.name}: {error.message}")
        if len(files) == before:
            raise InputError(f"The folder {path} holds no sequence files.", detail="\n".join(notes))
    if not files:
        raise InputError("No input was given: name at least one file or folder.")
    return files, notes


def survey(path: Path, name: str, options: IngestOptions) -> InputFile:
    """Recognise one file and take its first records."""
    with Source(path, name, Limits(options.maximum_bytes, options.maximum_ratio)) as source:
        recognised = recognise(source, options)
    # Opened anew: a packed Parquet file has been read to its end to be recognised.
    with Source(path, name, Limits(options.maximum_bytes, options.maximum_ratio)) as source:
        sample = next(read_records(source, recognised, SAMPLE_BYTES), None)
        return InputFile(path, name, source.bytes, source.compression, recognised, sample)


def _is_hidden(entry: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in entry.relative_to(folder).parts)
