"""Receipts of finished shards: what they were computed from, and the digests of their files.

A shard is finished when its receipt is there, names the same origin, and every file has the digest that the
receipt states. Anything else, such as a file cut off by a full disk or changed afterwards, is computed again.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import StorageError
from bioprune_core.hashing import file_digest
from bioprune_core.storage import read_json, write_json

__all__ = ["find_receipt", "origin_of", "write_receipt"]

logger = logging.getLogger(__name__)


def origin_of(facts: Mapping[str, Any], *arrays: NDArray[Any]) -> str:
    """A digest of everything that determines a shard's bytes.

    Args:
        facts: JSON values such as the configuration and the model's hash.
        arrays: Such as the hashes of the shard's sequences.
    """
    digest = hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode())
    for array in arrays:
        digest.update(f"\n{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write_receipt(path: Path, origin: str, files: Mapping[str, Path], facts: Mapping[str, Any]) -> None:
    """Declare a shard finished; its files are already in their places.

    Args:
        path: The receipt, JSON.
        origin: From `origin_of`.
        files: The shard's files by role, such as "scores".
        facts: What later readers want to know of the shard without opening it, such as counts; JSON values.
    """
    digests = {role: file_digest(file) for role, file in files.items()}
    receipt = {"origin": origin, "sha256": digests, "facts": dict(facts)}
    write_json(path, {**receipt, "seal": origin_of(receipt)})


def find_receipt(path: Path, origin: str, files: Mapping[str, Path]) -> dict[str, Any] | None:
    """The facts of a finished shard; None where it has to be computed."""
    if not path.exists():
        return None
    try:
        receipt = read_json(path)
        digests = {role: file_digest(file) for role, file in files.items()}
    except (StorageError, OSError) as error:
        logger.warning("Shard of %s is damaged or incomplete and is computed again: %s", path, error)
        return None
    # The seal vouches for the facts, and so for their types.
    facts = receipt.get("facts") if isinstance(receipt, dict) else None
    expected = {"origin": origin, "sha256": digests, "facts": facts}
    if facts is None or receipt != {**expected, "seal": origin_of(expected)}:
        logger.warning("Shard of %s has changed or is of another computation and is computed again.", path)
        return None
    return dict(facts)
