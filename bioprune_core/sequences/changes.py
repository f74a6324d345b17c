"""Whether files and folders are still those that a dataset was read from."""

from collections.abc import Container, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bioprune_core.hashing import file_digest
from bioprune_core.sequences.file_names import readable
from bioprune_core.sequences.formats import UnrecognisedError
from bioprune_core.sequences.inputs import entries_of, survey
from bioprune_core.sequences.options import IngestOptions

__all__ = ["added_files", "has_changed"]


def has_changed(path: Path, entry: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether a file holds something else than when a dataset was read from it.

    Args:
        path: The file.
        entry: What the dataset's manifest says of it, one of its "inputs".
        manifest: The manifest.
    """
    now = path.stat()
    if now.st_size != entry["bytes"]:
        return True
    # Files untouched since are not read, so that asking again costs nothing for gigabytes.
    return _touched_since(path, manifest) and file_digest(path) != str(entry["sha256"])


def added_files(
    folder: Path, known: Container[Path], manifest: Mapping[str, Any], options: IngestOptions
) -> list[Path]:
    """The sequence files that came into a folder after a dataset was read from it, in order of their paths.

    Args:
        folder: The folder.
        known: Those of its files that the dataset was read from.
        manifest: The dataset's.
        options: Its own, by which sequences are told from other files.

    Raises:
        InputError: The folder or a file that came cannot be read.
    """
    found = []
    for path in entries_of(folder):
        if path in known or not _touched_since(path, manifest):
            continue
        try:
            survey(path, readable(path.name), options)
        except UnrecognisedError:
            continue  # It would be left out now as well.
        found.append(path)
    return found


def _touched_since(path: Path, manifest: Mapping[str, Any]) -> bool:
    began = datetime.fromisoformat(manifest["created"]).timestamp() - manifest["seconds"]
    # The time of the last change of the inode: unlike that of the content, no copying sets it back.
    return bool(path.stat().st_ctime >= began)
