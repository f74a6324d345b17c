"""Whether the files of a model from elsewhere are still those that a run was computed from."""

from pathlib import Path

from bioprune_core.errors import ConflictError
from bioprune_core.workspace.records import Run

__all__ = ["refuse_changed_weights"]

_WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".ckpt"})
_CONFIG = "config.json"


def refuse_changed_weights(run: Run, reference: str | None, directory: Path) -> None:
    """Refuse to take a run for that of weights which were written after it had read the earlier ones.

    A path is all that the settings of a run say of a model from elsewhere.

    Args:
        run: Found by its settings.
        reference: Path, name or hub id of its model; None for one of the workspace.
        directory: Of the run.

    Raises:
        ConflictError: Weights or configuration are newer than the run's fine-tuning; names the file.
    """
    begun = directory / "adapted" / "training.json"
    if reference is None or not Path(reference).is_absolute() or not begun.is_file():
        return
    path = Path(reference)
    files = path.iterdir() if path.is_dir() else [path]
    for file in sorted(files):
        known = file.suffix in _WEIGHTS or file.name == _CONFIG
        if known and file.is_file() and file.stat().st_mtime > begun.stat().st_mtime:
            raise ConflictError(
                f'{file} was written after the run "{run.name}" had read its model there: its scores are '
                "those of the earlier weights. Put the new ones into a folder of their own and score with it."
            )
