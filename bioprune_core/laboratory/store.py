"""Results of cells on disk, by the key of what determines them."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bioprune_core.experiments import CellResult
from bioprune_core.storage import read_json, write_json
from bioprune_core.training.history import last_progress
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.locks import hold, is_held

__all__ = ["CellStore"]

_RESULT, _FAILURE, _LOCK = "result.json", "failure.json", ".lock"
_BEGUN = "begun.json"


class CellStore:
    """The cells of all experiments of a workspace.

    A cell is done when its `result.json` is there, which is written last, and failed when its `failure.json`
    is. While it is computed its folder is locked, so any number of processes can work on one experiment.

    Args:
        root: The folder of all cells; made when needed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, workspace: Workspace) -> "CellStore":
        """The store of a workspace."""
        return cls(workspace.layout.cells)

    def folder(self, key: str) -> Path:
        """Folder of a cell."""
        return self.root / key[:2] / key

    def is_done(self, key: str) -> bool:
        """Whether a cell has a result."""
        return (self.folder(key) / _RESULT).is_file()

    def is_failed(self, key: str) -> bool:
        """Whether a cell was tried and failed."""
        return (self.folder(key) / _FAILURE).is_file() and not self.is_done(key)

    def is_running(self, key: str) -> bool:
        """Whether some process computes the cell now."""
        return is_held(self.folder(key) / _LOCK)

    @contextmanager
    def claimed(self, key: str) -> Iterator[Path]:
        """The folder of a cell, for this process alone.

        Raises:
            ConflictError: Another process computes it.
            StorageError: The folder cannot be made.
        """
        folder = self.folder(key)
        with hold(folder / _LOCK, f"cell {key[:12]}", wait_s=0):
            yield folder

    @contextmanager
    def begun(self, key: str) -> Iterator[int]:
        """Note that a cell is computed in the block, while it is `claimed`.

        Yields:
            How many processes in a row ended in the middle of such a block without getting further: killed,
            as a rule for memory. One that left a newer checkpoint, or ended its training, is not counted,
            nor what came before it.
        """
        path = self.folder(key) / _BEGUN
        begun = read_json(path) if path.is_file() else {}
        reached = last_progress(self.folder(key))
        ended = begun["times"] if begun and begun.get("reached") == reached else 0
        write_json(path, {"times": ended + 1, "reached": reached})
        try:
            yield ended
        finally:
            path.unlink(missing_ok=True)

    def finish(self, key: str, metrics: Mapping[str, float], evidence: Mapping[str, Any]) -> None:
        """Keep a result."""
        write_json(self.folder(key) / _RESULT, {"metrics": dict(metrics), **evidence})
        (self.folder(key) / _FAILURE).unlink(missing_ok=True)

    def fail(self, key: str, reason: str) -> None:
        """Keep why a cell failed."""
        write_json(self.folder(key) / _FAILURE, {"reason": reason})

    def forgive(self, key: str) -> None:
        """Let a failed cell be tried again, as often as one that was never tried."""
        for name in (_FAILURE, _BEGUN):
            (self.folder(key) / name).unlink(missing_ok=True)

    def clear(self, key: str) -> None:
        """Delete all that a cell has left, while it is `claimed`."""
        for path in self.folder(key).iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def evidence(self, key: str) -> Mapping[str, Any]:
        """All that was kept with a result."""
        found: Mapping[str, Any] = read_json(self.folder(key) / _RESULT)
        return found

    def results(self, keys: Iterable[str]) -> dict[str, CellResult]:
        """The results and failures of those cells that have one."""
        found = {}
        for key in keys:
            if self.is_done(key):
                kept = self.evidence(key)
                found[key] = CellResult(kept["metrics"], tokens=kept.get("tokens", 0))
            elif self.is_failed(key):
                found[key] = CellResult({}, read_json(self.folder(key) / _FAILURE)["reason"])
        return found
