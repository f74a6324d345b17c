"""The files of an ingest: found, named and looked at before any of them is read."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError, MissingFileError
from bioprune_core.sequences.alphabets import count_letters
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.decoders import Compression
from bioprune_core.sequences.file_names import readable
from bioprune_core.sequences.formats import SAMPLE_BYTES, UnrecognisedError
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.readers import Recognised, read_records, recognise
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.source import Limits, Source

__all__ = ["InputFile", "check_label_column", "entries_of", "find_files", "is_within", "survey", "walk"]


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read.

    Args:
        path: Where it is.
        name: Its name, or its path within the folder that was given.
        bytes: Its size.
        compression: How it is packed.
        recognised: Its format.
        letters: How often each byte occurs in its first sequences as written, int64, shape (256,).
    """

    path: Path
    name: str
    bytes: int
    compression: Compression
    recognised: Recognised
    letters: NDArray[np.int64]


def find_files(
    paths: Sequence[Path], options: IngestOptions, within: Sequence[Path] = ()
) -> tuple[list[InputFile], list[str]]:
    """Look at every file, folders with all their files in order of name.

    Args:
        paths: Files and folders.
        options: How to read them.
        within: Folders that no file may lead out of, also not by a link; empty for anywhere.

    Returns:
        The files, and sentences on files of folders that were skipped because they hold no sequences.

    Raises:
        InputError: A path is missing or unreadable, or a file given by name is no sequence file.
    """
    files: list[InputFile] = []
    notes: list[str] = []
    for path in paths:
        if not path.exists():
            raise MissingFileError(f"{readable(path)} does not exist. Check the path.")
        if not is_within(path, within):
            raise InputError(f"{readable(path)} leads out of the folders that may be imported from.")
        if not path.is_dir():
            files.append(survey(path, path.name, options)[0])
            continue
        before = len(files)
        for entry in entries_of(path):
            name = readable(entry.relative_to(path))
            if not is_within(entry, within):
                notes.append(
                    f"Skipped in the folder {readable(path.name)}: {name} leads out of the folders that may "
                    "be imported from."
                )
                continue
            try:
                files.append(survey(entry, name, options)[0])
            except UnrecognisedError as error:
                notes.append(f"Skipped in the folder {readable(path.name)}: {error.message}")
        if len(files) == before:
            raise InputError(f"The folder {readable(path)} holds no sequence files.", detail="\n".join(notes))
    if not files:
        raise InputError("No input was given: name at least one file or folder.")
    return _with_distinct_names(files), notes


def check_label_column(files: Sequence[InputFile], options: IngestOptions) -> None:
    """Refuse a column for the labels where no file has columns; of several files some may have none.

    Raises:
        InputError: No file has columns.
    """
    if options.label_column is None or any(
        file.recognised.layout is not None or file.recognised.columns is not None for file in files
    ):
        return
    first = files[0]
    also = ", nor has any other of the files" if len(files) > 1 else ""
    raise InputError(
        f"{first.name} ({first.recognised.format}) has no columns{also}, so that no column "
        f"{options.label_column!r} can give the labels. Take them from the header by a label pattern or from "
        "the file's name, or give a table or a Parquet file."
    )


def is_within(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a path, all links followed, lies in one of some folders; always when there are none."""
    if not folders:
        return True
    found = path.resolve()
    return any(found.is_relative_to(folder.resolve()) for folder in folders)


def survey(path: Path, name: str, options: IngestOptions) -> tuple[InputFile, RecordBlock | None]:
    """Recognise one file and take its first records, None when it has none."""
    with Source(path, name, Limits(options.maximum_bytes, options.maximum_ratio)) as source:
        recognised = recognise(source, options)
    # Opened anew: a packed Parquet file has been read to its end to be recognised.
    with Source(path, name, Limits(options.maximum_bytes, options.maximum_ratio)) as source:
        sample = next(read_records(source, recognised, SAMPLE_BYTES), None)
    letters = count_letters(sample.letters if sample is not None else ByteStrings.empty(0))
    return InputFile(path, source.name, source.bytes, source.compression, recognised, letters), sample


def entries_of(folder: Path) -> list[Path]:
    """The files below a folder in order of their paths, hidden ones left out.

    Raises:
        InputError: A folder cannot be read.
    """
    return sorted(walk(folder))


def walk(folder: Path) -> Iterator[Path]:
    """The files below a folder as they are met, hidden ones left out.

    Raises:
        InputError: A folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{readable(error.filename)} cannot be read: {error.strerror}.", detail=str(error)
        ) from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _with_distinct_names(files: list[InputFile]) -> list[InputFile]:
    """Files of the same name from different folders, told apart by as much of their folders as it takes."""
    for depth in range(2, 2 + max(len(file.path.parts) for file in files)):
        times = Counter(file.name for file in files)
        if max(times.values()) == 1:
            break
        files = [
            replace(file, name=readable("/".join(file.path.parts[-depth:]))) if times[file.name] > 1 else file
            for file in files
        ]
    return files
