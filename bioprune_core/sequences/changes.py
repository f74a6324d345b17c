"""Whether a file is still the one that a dataset was read from."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bioprune_core.hashing import file_digest

__all__ = ["has_changed"]


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
    began = datetime.fromisoformat(manifest["created"]).timestamp() - manifest["seconds"]
    # The time of the last change of the inode: unlike that of the content, no copying sets it back. Files
    # untouched since are not read, so that asking again costs nothing for gigabytes.
    return bool(now.st_ctime >= began) and file_digest(path) != str(entry["sha256"])
