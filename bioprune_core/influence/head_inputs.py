"""The head's inputs of the subset, kept by the Fisher pass for the score pass.

A file beside each part of the Fisher holds the inputs of all tokens of its sequences, in the precision of the
backbone: bf16 or float32. Sequences in several windows or copies are not kept.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from safetensors.numpy import load_file

from bioprune_core.errors import StorageError
from bioprune_core.hashing import file_digest
from bioprune_core.influence.gradient_engine import GradientEngine, HeadOnly
from bioprune_core.influence.objective import LossTerms, SequenceGroup
from bioprune_core.influence.sequence_gradients import GroupGradients
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import on_device
from bioprune_core.storage import atomic_path, flush, read_json

__all__ = ["HeadInputs", "RecallingEngine", "RecordingEngine", "read_head_inputs", "recording"]

logger = logging.getLogger(__name__)

_AGAIN = "Start the run again; finished shards are kept."

# numpy has no bf16; its bits are kept as int16.
_STORED = {torch.float32: np.float32, torch.bfloat16: np.int16}


class RecordingEngine:
    """Another engine, whose head inputs are written down as they come.

    Args:
        engine: Who computes.
        offsets: Where the tokens of each sequence of the block are, int64, shape (n + 1,).
        kept: Where to write, shape (tokens, d).
    """

    def __init__(self, engine: GradientEngine, offsets: NDArray[np.int64], kept: NDArray[Any]) -> None:
        self._engine = engine
        self._offsets = offsets
        self._kept = kept
        self.shape = engine.shape
        self.opened = engine.opened

    def run(self, forward: LossTerms, gradients: GroupGradients) -> tuple[torch.Tensor, torch.Tensor]:
        """See `GradientEngine`."""
        losses, hidden = self._engine.run(forward, gradients)
        if self._kept.dtype == np.int16:
            values = hidden.to(torch.bfloat16).view(torch.int16).cpu().numpy()
        else:
            values = hidden.cpu().numpy()
        for row, sequence in enumerate(gradients.group.rows):
            start, stop = self._offsets[sequence], self._offsets[sequence + 1]
            self._kept[start:stop] = values[row, : stop - start]
        return losses, hidden


class RecallingEngine:
    """Gradients of the head's dense weight from inputs that were written down; the backbone is not run.

    Args:
        model: The model that they are of.
        inputs: Of every sequence of the block.
    """

    def __init__(self, model: MaskedLanguageModel, inputs: "HeadInputs") -> None:
        self._head = HeadOnly(model)
        self._device = model.device
        self._inputs = inputs
        self.shape = self._head.shape

    @contextmanager
    def opened(self) -> Iterator[None]:
        """See `GradientEngine`."""
        with torch.inference_mode():
            yield

    def run(self, forward: LossTerms, gradients: GroupGradients) -> tuple[torch.Tensor, torch.Tensor]:
        """See `GradientEngine`."""
        hidden = on_device(self._inputs.padded(gradients.group, forward.inputs.shape[1]), self._device)
        return self._head.gradients_of(hidden, forward, gradients), hidden


@dataclass(frozen=True, slots=True)
class _InputFile:
    """A matrix in a file, (tokens, width). Read, not mapped: pages of a map count as memory of the process.

    Args:
        path: Of the file.
        dtype: Of an entry.
        width: Entries of a row.
        offset: Bytes before the first row.
    """

    path: Path
    dtype: np.dtype[Any]
    width: int
    offset: int

    @classmethod
    def of(cls, path: Path) -> "_InputFile":
        mapped = np.load(path, mmap_mode="r")
        return cls(path, mapped.dtype, mapped.shape[1], mapped.offset)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start..stop-1, shape (stop - start, width).

        Raises:
            StorageError: They cannot be read.
        """
        count, offset = (stop - start) * self.width, self.offset + start * self.width * self.dtype.itemsize
        try:
            values = np.fromfile(self.path, self.dtype, count, offset=offset)
        except OSError as error:
            raise StorageError(
                f"Could not read {self.path}: {error.strerror or error}. {_AGAIN}", detail=str(error)
            ) from error
        if len(values) != count:
            raise StorageError(f"{self.path} has lost its end since the pass began. {_AGAIN}")
        return values.reshape(-1, self.width)


@dataclass(frozen=True, slots=True, eq=False)
class HeadInputs:
    """Inputs of n sequences in files of the disk.

    Args:
        positions: Of the sequences in the pool, int64, ascending, shape (n,).
        parts: In which file each is, shape (n,).
        starts: Where in it, first token, shape (n,).
        stops: And last, shape (n,).
        files: Each of shape (tokens, d).
    """

    positions: NDArray[np.int64]
    parts: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    files: tuple[_InputFile, ...]

    def among(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some positions are there, shape (m,)."""
        return np.isin(positions, self.positions)

    def of(self, positions: NDArray[np.int64]) -> "HeadInputs":
        """Those of some ascending positions, all of which are there."""
        rows = np.searchsorted(self.positions, positions)
        return replace(
            self,
            positions=positions,
            parts=self.parts[rows],
            starts=self.starts[rows],
            stops=self.stops[rows],
        )

    def padded(self, group: SequenceGroup, width: int) -> torch.Tensor:
        """Inputs of a group's sequences, float32, shape (B, width, d), zero at pads."""
        found = torch.zeros(len(group.rows), width, self.files[0].width)
        for row, sequence in enumerate(group.rows):
            file = self.files[self.parts[sequence]]
            tensor = torch.from_numpy(file.rows(int(self.starts[sequence]), int(self.stops[sequence])))
            found[row, : len(tensor)] = tensor.view(torch.bfloat16) if tensor.dtype == torch.int16 else tensor
        return found


@contextmanager
def recording(path: Path, tokens: int, width: int, kept: torch.dtype) -> Iterator[NDArray[Any]]:
    """A file of head inputs that appears at `path` when the block has ended well."""
    with atomic_path(path) as part:
        values = open_memmap(part, mode="w+", dtype=_STORED[kept], shape=(tokens, width))
        # A page for which the disk has no room would end the process, not the write: ask for all of them now.
        if hasattr(os, "posix_fallocate"):  # macOS knows no such call
            with part.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, part.stat().st_size)
        yield values
        # As a file, not as memory: `values.flush()` holds Python's lock, and so whoever computes, until the
        # disk is done.
        flush(part)


def read_head_inputs(directory: Path) -> HeadInputs:
    """The head inputs that a Fisher pass has left, of no sequence where there are none.

    A file that is not as its receipt says is left out, with a warning: its sequences are computed anew.

    Args:
        directory: Of the Fisher.
    """
    nothing = np.empty(0, dtype=np.int64)
    positions, parts, starts, stops = [nothing], [nothing], [nothing], [nothing]
    files: list[_InputFile] = []
    for path in sorted(directory.glob("inputs-*.npy")):
        index = _checked_index(path)
        if index is None:
            logger.warning("%s is damaged; the forward passes of its sequences are done again.", path)
            continue
        positions.append(index["positions"])
        offsets = index["offsets"]
        starts.append(offsets[:-1])
        stops.append(offsets[1:])
        parts.append(np.full(len(offsets) - 1, len(files), dtype=np.int64))
        files.append(_InputFile.of(path))
    return HeadInputs(
        positions=np.concatenate(positions),
        parts=np.concatenate(parts),
        starts=np.concatenate(starts),
        stops=np.concatenate(stops),
        files=tuple(files),
    )


def _checked_index(path: Path) -> dict[str, NDArray[np.int64]] | None:
    part = path.with_name(path.name.replace("inputs-", "part-")).with_suffix(".safetensors")
    try:
        digests = read_json(part.with_suffix(".json"))["sha256"]
        if digests["inputs"] != file_digest(path) or digests["part"] != file_digest(part):
            return None
    except (StorageError, OSError, KeyError):
        return None
    return load_file(part)
