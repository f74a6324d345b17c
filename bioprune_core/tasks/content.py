"""What determines results on a task, as one digest."""

import hashlib
from dataclasses import asdict

import numpy as np

from bioprune_core.tasks.task import Examples, Part, TaskData

__all__ = ["content_hash"]


def content_hash(data: TaskData) -> str:
    """SHA-256 of a task's definition and all its examples; titles, sources and ids are no part."""
    digest = hashlib.sha256()
    declared = {name: value for name, value in asdict(data.task).items() if name not in ("title", "stand_in")}
    digest.update(repr(sorted(declared.items())).encode())
    for part in Part:
        digest.update(f"\n{part.value}\n".encode())
        _add(digest, data.parts[part])
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", examples: Examples) -> None:
    digest.update("\n".join(examples.sequences).encode())
    if examples.partners is not None:
        digest.update(b"\n\n" + "\n".join(examples.partners).encode())
    targets = examples.targets if isinstance(examples.targets, tuple) else (examples.targets,)
    for target in targets:
        digest.update(f"{target.dtype.str}{target.shape}".encode() + np.ascontiguousarray(target).tobytes())
