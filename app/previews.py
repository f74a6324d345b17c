"""A look into a file before it is read: what it seems to be and its first records."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pandas as pd
import streamlit as st

from app.components import KeyFigure, field_error, key_figures, note
from app.formatting import alphabet_name, byte_size
from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions, Preview, is_within, preview
from bioprune_core.sequences.file_names import readable
from bioprune_core.sequences.inputs import walk

__all__ = ["FORMATS", "draw_preview", "look", "sample_files"]

_LISTED_FILES = 500
FORMATS = {
    "fasta": "FASTA",
    "fastq": "FASTQ",
    "dot-bracket": "Dot-bracket",
    "stockholm": "Stockholm",
    "parquet": "Parquet",
    "table": "Table",
    "plain": "One per line",
}
"""What a sequence format is called."""


def sample_files(paths: Sequence[Path], within: Sequence[Path] = ()) -> list[Path]:
    """The files that can be looked at: those named, and the first some hundred of each folder.

    Args:
        paths: Files and folders.
        within: Folders that no file may lead out of, also not by a link; empty for anywhere.

    Raises:
        InputError: A folder cannot be read, so that its dataset could not be made either.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(islice(walk(path), _LISTED_FILES))
        else:
            files.append(path)
    # A name that is not UTF-8 is read but not shown: no page can carry it.
    return [file for file in files if is_within(file, within) and readable(file) == str(file)]


def look(path: Path, options: IngestOptions) -> Preview:
    """The preview of a file, remembered until the file or the options change.

    Raises:
        InputError: The file cannot be read as sequences; says why.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read. Check that it exists and may be read.", str(error)
        ) from error
    return _look(str(path), stat.st_size, stat.st_mtime_ns, json.dumps(options.to_json(), sort_keys=True))


@st.cache_data(max_entries=64, show_spinner=False)
def _look(
    path: str,
    size: int,  # noqa: ARG001 - what the cache goes by; it passes over names with an underscore
    changed: int,  # noqa: ARG001
    options: str,
) -> Preview:
    return preview(Path(path), rows=20, options=IngestOptions.from_json(json.loads(options)))


def draw_preview(found: Preview) -> None:
    """What the file seems to be and its first records, as they are written in it."""
    alphabet = "Unclear" if found.alphabet is None else alphabet_name(found.alphabet)
    packed = found.compression.value
    key_figures(
        [
            KeyFigure("Format", FORMATS[found.format.value]),
            KeyFigure("Compression", packed if packed != "none" else "None"),
            KeyFigure("Size", *byte_size(found.bytes).split(" ")),
            KeyFigure("Alphabet", alphabet),
        ]
    )
    for text in found.notes:
        note(text)
    if found.records:
        _records(found)
    elif found.cells:
        field_error("Name the column that holds the sequences.")
        st.dataframe(pd.DataFrame(found.cells, columns=list(found.columns)), hide_index=True)


def _records(found: Preview) -> None:
    rows = pd.DataFrame(
        {
            "Record": [record.number for record in found.records],
            "Id": [record.id for record in found.records],
            "Description": [record.description for record in found.records],
            "Label": [record.label or "" for record in found.records],
            "Length": [record.length for record in found.records],
            "Sequence as written": [record.sequence for record in found.records],
        }
    )
    empty = [name for name in ("Description", "Label") if not rows[name].any()]
    st.dataframe(
        rows.drop(columns=empty),
        hide_index=True,
        height="content",
        column_config={
            "Record": st.column_config.NumberColumn(width=70, format="localized"),
            "Id": st.column_config.TextColumn(width=190),
            "Description": st.column_config.TextColumn(width=150),
            "Label": st.column_config.TextColumn(width=110),
            "Length": st.column_config.NumberColumn(width=75, format="localized"),
            "Sequence as written": st.column_config.TextColumn(width="large"),
        },
        alt=f"The first {len(rows)} records of {found.name}",
    )
