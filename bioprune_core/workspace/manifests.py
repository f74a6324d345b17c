"""Reading the manifest of a coreset that somebody brings along."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bioprune_core.errors import InputError

__all__ = ["MANIFEST_LIMIT_BYTES", "CoresetManifest", "read_coreset_manifest"]

MANIFEST_LIMIT_BYTES = 16 << 20
"""A manifest takes some kilobytes; with 10,000 strata about a megabyte."""

_NEEDED: Mapping[str, type] = {
    "id": str,
    "run_id": str,
    "selection": dict,
    "scores_sha256": str,
    "members_sha256": str,
    "versions": dict,
}


_CHOOSE = (
    'Choose the file that a coreset\'s page offers as "Manifest", or the .manifest.json that bioprune export '
    "writes."
)


@dataclass(frozen=True, slots=True)
class CoresetManifest:
    """A manifest whose parts are there and of the right kind.

    Args:
        coreset: The manifest of the coreset.
        name: What the coreset was called; empty where the file does not say.
    """

    coreset: Mapping[str, Any]
    name: str


def read_coreset_manifest(data: bytes) -> CoresetManifest:
    """Read the manifest that `export_manifest` wrote, or the `manifest.json` of a coreset's folder.

    Raises:
        InputError: It is none; says what it is instead, or what is missing.
    """
    if len(data) > MANIFEST_LIMIT_BYTES:
        raise InputError(
            f"The file is too large: a manifest has at most {MANIFEST_LIMIT_BYTES:,} bytes. "
            "Choose the manifest, not the coreset itself."
        )
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"The file is not JSON, so it is no manifest. {_CHOOSE}",
            detail=str(error),
        ) from error
    outer = value if isinstance(value, dict) else {}
    name = outer.get("name")
    inner = outer.get("coreset", outer)
    found = inner if isinstance(inner, dict) else {}
    kind = found.get("kind")
    if kind != "coreset":
        what = f"of a {kind}" if kind in ("run", "dataset", "model") else "of no coreset"
        raise InputError(f"The file is the manifest {what}. {_CHOOSE}")
    missing = [part for part, form in _NEEDED.items() if not isinstance(found.get(part), form)]
    if missing:
        raise InputError(
            f"The manifest lacks {', '.join(missing)}, so the coreset cannot be made again from it. "
            "Download it again from the coreset's page, or export the coreset again."
        )
    return CoresetManifest(found, name if isinstance(name, str) else "")
