"""Which sequences are near-identical, computed once and kept by content: on large pools it takes minutes."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import StorageError
from bioprune_core.sequences import Pool
from bioprune_core.sequences.near_identity import NEAR, near_duplicate_clusters, near_identical
from bioprune_core.storage import atomic_path
from bioprune_core.workspace import Workspace

__all__ = ["Comparisons"]

# Counted up when the same sequences are compared otherwise than before.
_VERSION = 1


class Comparisons:
    """Comparisons of a pool, and of tasks, by k-mers.

    What cannot be kept is computed each time; a damaged file is computed again.

    Args:
        folder: Where results are kept; made when needed.
        pool: The pool.
    """

    def __init__(self, folder: Path, pool: Pool) -> None:
        self._folder, self._pool = folder, pool

    @classmethod
    def of(cls, workspace: Workspace, pool: Pool) -> "Comparisons":
        """Kept in a workspace, beside its cells."""
        return cls(workspace.root / "experiments" / "pools", pool)

    def near_tests(self, tests: Sequence[str], bound: float) -> NDArray[np.bool_]:
        """Which sequences of the pool are near-identical to a test sequence; bool, shape (N,).

        Args:
            tests: Normalised sequences, in any order.
            bound: Least Jaccard index, above 0.
        """
        tests = sorted(set(tests))
        content = {
            "kind": "near",
            "dataset": self._pool.content_hash,
            "tests": _digest(tests),
            "bound": bound,
        }
        return self._kept(
            content,
            len(self._pool),
            np.bool_,
            lambda: near_identical(self._pool, tests, self._alphabet, bound),
        )

    def clusters(self) -> NDArray[np.int64]:
        """Code of the cluster of each sequence of the pool; int64, shape (N,)."""
        content = {"kind": "clusters", "dataset": self._pool.content_hash, "bound": NEAR}
        return self._kept(
            content, len(self._pool), np.int64, lambda: near_duplicate_clusters(self._pool, self._alphabet)
        )

    def near(
        self, queries: Sequence[str], references: Sequence[str], alphabet: Alphabet, bound: float = NEAR
    ) -> NDArray[np.bool_]:
        """Which queries are near-identical to a reference, as `near_identical` says; bool, shape (n,)."""
        content = {
            "kind": "examples",
            "alphabet": alphabet.value,
            "queries": _digest(queries),
            "references": _digest(sorted(set(references))),
            "bound": bound,
        }
        return self._kept(
            content, len(queries), np.bool_, lambda: near_identical(queries, references, alphabet, bound)
        )

    @property
    def _alphabet(self) -> Alphabet:
        return self._pool.alphabet

    def _kept(
        self, content: dict[str, Any], count: int, kind: type[np.generic], compute: Callable[[], NDArray[Any]]
    ) -> NDArray[Any]:
        text = json.dumps({"version": _VERSION, **content}, sort_keys=True)
        path = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.npz"
        found = _load(path)
        if found is None or found.shape != (count,) or found.dtype != kind:
            found = compute()
            # A full disk must not keep anybody from seeing how far an experiment is.
            with suppress(StorageError), atomic_path(path) as part, part.open("wb") as stream:
                np.savez(stream, values=found)
        return found


def _load(path: Path) -> NDArray[Any] | None:
    """What a file holds; None where it is missing or damaged."""
    try:
        # Opened here: numpy leaves a file that it cannot read open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            values: NDArray[Any] = arrays["values"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return values


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()
