"""Files that are either whole or absent: written beside their place, flushed, then renamed."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bioprune_core.errors import DiskFullError, StorageError

__all__ = [
    "RUBBISH",
    "atomic_path",
    "flush",
    "read_json",
    "remove_directory",
    "remove_leftovers",
    "remove_rubbish",
    "set_aside",
    "storage_error",
    "write_json",
]

RUBBISH = ".deleted-"
"""How the names of directories begin that are being removed."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a `.part` path to write to; promote it to `path` when the block ends well, remove it otherwise.

    The file and its directory are flushed to disk before and after the rename, so that a power cut
    leaves either the old or the new content.

    Raises:
        DiskFullError: No space is left; names the file and what to do.
        StorageError: The file is not writable, or a device or pipe, which the rename would replace.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise StorageError(f"{path} is no file that can be replaced, but a device or pipe. Name a file.")
    # Keeps two writers of the same file apart; process ids repeat where there are several containers.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        flush(part)
        part.replace(path)
        flush(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def remove_leftovers(directory: Path) -> None:
    """Remove what killed processes left half-written below a directory.

    What somebody is writing looks the same: only for whom nobody else writes there.
    """
    for part in list(directory.rglob(".*.part")):
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)


def remove_directory(directory: Path) -> None:
    """Remove a directory with all that it holds.

    Raises:
        StorageError: A file cannot be removed; what is left of the directory is out of sight even then.
    """
    remove_rubbish(set_aside(directory))


def set_aside(directory: Path) -> Path:
    """Take a directory out of sight in one step; gives its path as rubbish, by which it can be put back.

    Raises:
        StorageError: It cannot be renamed.
    """
    # What a power cut leaves of it is rubbish, not half a thing. What is made anew under the same name may be
    # removed again before that rubbish is.
    rubbish = directory.with_name(f"{RUBBISH}{directory.name}.{secrets.token_hex(4)}")
    try:
        return directory.rename(rubbish)
    except OSError as error:
        raise storage_error(error, directory) from error


def remove_rubbish(rubbish: Path) -> None:
    """Remove what `set_aside` took out of sight.

    Raises:
        StorageError: A file cannot be removed.
    """
    try:
        shutil.rmtree(rubbish)
    except OSError as error:
        raise storage_error(error, rubbish) from error


def storage_error(error: OSError, path: Path) -> StorageError:
    """Turn an operating-system error on `path` into a sentence with a remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"No space left on the disk that holds {path}. Free some space and start again; "
            "nothing half-written was kept.",
            detail=str(error),
        )
    return StorageError(f"Could not write {path}: {error.strerror or error}.", detail=str(error))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically. Refuses NaN and infinities."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StorageError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"Could not read {path}: it is missing or damaged.", detail=str(error)) from error


def flush(path: Path) -> None:
    """Flush a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
