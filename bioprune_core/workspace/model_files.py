"""Whether the files of a model from elsewhere are still those that a run was computed from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

from bioprune_core.errors import ConflictError, StorageError
from bioprune_core.hashing import file_digest
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace.records import Run

__all__ = ["model_files", "note_model_files", "refuse_changed_weights"]

_WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".ckpt"})
_NO_WEIGHTS = ("optimizer", "scheduler", "scaler", "rng_state", "training_args")
"""How the names begin of what a training leaves beside weights, in files of the same endings."""
_BESIDE = frozenset({"config.json", "vocab.txt", "vocab.json", "tokenizer.json"})
_BEGUN, _NOTED = Path("adapted", "training.json"), Path("adapted", "model_files.json")


def model_files(reference: str | None, directory: Path) -> list[dict[str, Any]] | None:
    """What the files of a model from elsewhere hold, before a run loads them: each is read whole, once a run.

    Args:
        reference: Path, name or hub id of the model; None for one of the workspace.
        directory: Of the run.

    Returns:
        Name, resolved path, size in bytes, time of change and SHA-256 of each; None where the model is no
        path, or the fine-tuning has begun, which goes on with no other weights than it began with.

    Raises:
        StorageError: A file cannot be read.
    """
    if not _is_path(reference) or (directory / _BEGUN).is_file():
        return None
    with _readable(Path(reference)):
        return [
            {"name": name} | _state(file) | {"sha256": file_digest(file)}
            for name, file in _files(Path(reference)).items()
        ]


def note_model_files(files: Sequence[Mapping[str, Any]] | None, directory: Path) -> None:
    """Keep what `model_files` gave beside the fine-tuning of a run."""
    if files is not None:
        write_json(directory / _NOTED, files)


def refuse_changed_weights(run: Run, reference: str | None, directory: Path) -> None:
    """Refuse to take a run for that of other weights than those it has read.

    A path is all that the settings of a run say of a model from elsewhere.

    Args:
        run: Found by its settings.
        reference: Path, name or hub id of its model; None for one of the workspace.
        directory: Of the run.

    Raises:
        ConflictError: Weights, configuration or vocabulary are others than the run's; names the file.
        StorageError: A file cannot be read.
    """
    # A model that is gone has nothing in its place that it could be mistaken for.
    if not _is_path(reference) or not Path(reference).exists() or not (directory / _BEGUN).is_file():
        return
    path = Path(reference)
    with _readable(path):
        changed = _changed(_files(path), directory)
    if changed is not None:
        raise ConflictError(
            f'{path / changed if path.is_dir() else path} is not what the run "{run.name}" has read as its '
            "model there: its scores are those of other weights. Put the new ones into a folder of their own "
            "and score with it; instead of a link, give the folder that it leads to."
        )


def _is_path(reference: str | None) -> TypeGuard[str]:
    return reference is not None and Path(reference).is_absolute()


def _changed(files: Mapping[str, Path], directory: Path) -> str | None:
    """The first file that is not as the run has read it, or has come, or is gone."""
    if not (directory / _NOTED).is_file():
        # Of a run by an earlier version nothing is known but when it had read them.
        begun = (directory / _BEGUN).stat().st_mtime
        return next((name for name, file in files.items() if file.stat().st_mtime > begun), None)
    noted = {entry["name"]: entry for entry in read_json(directory / _NOTED)}
    # One that has come may be read instead of the others, as safetensors are before pickles.
    for name in sorted(noted.keys() | files.keys()):
        if name not in noted or name not in files or _differs(files[name], noted[name]):
            return name
    return None


def _differs(file: Path, noted: Mapping[str, Any]) -> bool:
    state = _state(file)
    # Files untouched since are not read, so that asking costs nothing for gigabytes.
    if state.items() <= noted.items():
        return False
    return bool(state["bytes"] != noted["bytes"] or file_digest(file) != noted["sha256"])


def _state(file: Path) -> dict[str, Any]:
    now = file.stat()
    # The time of the last change of the inode: unlike that of the content, no copying sets it back.
    return {"path": str(file.resolve()), "bytes": now.st_size, "changed_ns": now.st_ctime_ns}


def _files(path: Path) -> dict[str, Path]:
    """What is read of a model, by name under its path."""
    if not path.is_dir():
        return {path.name: path} if path.is_file() else {}
    files = [file for file in sorted(path.iterdir()) if file.is_file()]
    weights = [
        file for file in files if file.suffix in _WEIGHTS and not file.name.startswith(_NO_WEIGHTS)
    ] or sorted(path.rglob("*.pth"))  # As in the folders of ESM-C.
    beside = [file for file in files if file.name in _BESIDE]
    return {file.relative_to(path).as_posix(): file for file in (*beside, *weights)}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The files of the model {path} cannot be read: {error.strerror or error}. Check that you may.",
            detail=str(error),
        ) from error
