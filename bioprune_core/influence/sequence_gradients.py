"""Per-sequence gradients of a linear layer's weight, and their squares, a few sequences at a time.

G_i = sum_t delta_it a_it^T, one matrix product a sequence, with delta the gradient at the layer's output and
a its input. Source: method, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.influence.objective import LossTerms, SequenceGroup

__all__ = ["CannotForget", "GroupSquares", "SquareSink", "Squares", "squared_gradients"]

# Gradients of one chunk of sequences, in float32. Small enough to stay in the cache between being
# multiplied, squared and summed on a CPU; large enough to fill a GPU.
CHUNK_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}


class SquareSink(Protocol):
    """Who sums squared gradients, over sequences (the Fisher) or over parameters (the scores).

    Args:
        halves: Whether the gradients of the masks of even and of odd number are wanted as well.
    """

    halves: bool

    def take(self, parameters: slice, rows: NDArray[np.int64], squares: "Squares") -> None:
        """Take the squares of some sequences and parameters; each pair comes exactly once.

        Args:
            parameters: Which p of the P parameters under study.
            rows: Which sequences of the block, int64, shape (n,).
            squares: Of the n sequences.
        """
        ...

    def forget(self, rows: NDArray[np.int64]) -> None:
        """Give up what was taken of some sequences, which are computed again since their batch failed.

        Raises:
            CannotForget: It is in a sum with that of others.
        """
        ...


class CannotForget(Exception):
    """What a failed batch has left in a sum cannot be taken out: the sum has to be made anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """Squared gradients of n sequences, on the device; overwritten by the next.

    Args:
        whole: float64, shape (n, ...).
        halves: Squares of the two parts of the gradient, of even and of odd masks, whose sum is the gradient;
            float64, shape (2, n, ...). None where not wanted.
    """

    whole: torch.Tensor
    halves: torch.Tensor | None

    def flattened(self) -> "Squares":
        """The same with one axis for the parameters."""
        return Squares(self.whole.flatten(1), None if self.halves is None else self.halves.flatten(2))


class GroupSquares:
    """Forms the gradients of a group's sequences from all of its forward passes, then squares them.

    Args:
        group: The sequences.
        sink: Who takes the squares.
    """

    def __init__(self, group: SequenceGroup, sink: SquareSink) -> None:
        self._group = group
        self._sink = sink
        self._unfinished: dict[int, torch.Tensor] = {}

    def add(self, parameters: slice, delta: torch.Tensor, inputs: torch.Tensor, forward: LossTerms) -> None:
        """Take one layer of one forward pass; the last of the group's passes hands on what it completes.

        Args:
            parameters: Places of the layer's weight among the parameters under study.
            delta: Gradient at the layer's output, float32, shape (C, T, out); 0 where no loss depends on it.
            inputs: The layer's input, float32, shape (C, T, in); finite at pads.
            forward: One of the group's.
        """
        group, width = self._group, delta.shape[1]
        cut = forward.even_copies * width if self._sink.halves else None
        columns = forward.copies * width
        delta = delta.reshape(len(group.rows), columns, -1)
        inputs = inputs.reshape(len(group.rows), columns, -1)
        extents = group.extents if forward.copies == 1 else [columns] * len(group.rows)
        if len(group.forwards) == 1:
            for part, squares in squared_gradients(delta, inputs, extents, cut):
                self._sink.take(parameters, group.rows[part], squares.flattened())
            return
        ((_, gradients),) = _gradients(delta, inputs, extents, cut)
        if parameters.start in self._unfinished:
            gradients += self._unfinished.pop(parameters.start)
        if forward is group.forwards[-1]:
            self._sink.take(parameters, group.rows, _squares(gradients).flattened())
        else:
            self._unfinished[parameters.start] = gradients


def squared_gradients(
    delta: torch.Tensor, inputs: torch.Tensor, extents: list[int], cut: int | None = None
) -> Iterator[tuple[slice, Squares]]:
    """Squares of the gradients of a batch's sequences, a few sequences at a time.

    Args:
        delta: Gradient at the output of the layer, float32, shape (B, T, out); 0 at pads.
        inputs: Input of the layer, float32, shape (B, T, in); finite at pads.
        extents: Columns of each sequence beyond which delta is 0, (B,).
        cut: Where given, the squares of the gradient's parts before and from this column on as well.

    Yields:
        The rows of the batch and their squared gradients, shape (rows, out, in).
    """
    squares: torch.Tensor | None = None
    for chunk, gradients in _gradients(delta, inputs, extents, cut):
        if squares is None:
            squares = torch.empty_like(gradients[0], dtype=torch.float64)
        yield chunk, _squares(gradients, squares[: gradients.shape[1]])


def _gradients(
    delta: torch.Tensor, inputs: torch.Tensor, extents: list[int], cut: int | None
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Gradients of a few sequences, or both of their parts, float32, shape (1 or 2, rows, out, in)."""
    rows, _, width_out = delta.shape
    width_in = inputs.shape[-1]
    limit = CHUNK_BYTES.get(delta.device.type, CHUNK_BYTES["cuda"])
    size = min(rows, max(1, limit // (4 * width_out * width_in)))
    # Kept over the chunks: fresh pages for every chunk cost as much as the arithmetic.
    gradients = delta.new_empty((1 if cut is None else 2, size, width_out, width_in))
    for start in range(0, rows, size):
        chunk = slice(start, min(start + size, rows))
        count = chunk.stop - start
        longest = max(extents[chunk])
        pieces = [slice(0, longest)] if cut is None else [slice(0, cut), slice(cut, longest)]
        for part, piece in enumerate(pieces):
            torch.bmm(delta[chunk, piece].transpose(1, 2), inputs[chunk, piece], out=gradients[part, :count])
        yield chunk, gradients[:, :count]


def _squares(gradients: torch.Tensor, out: torch.Tensor | None = None) -> Squares:
    # float64, since the entries of g^2 span more than the exponents of float32 allow for.
    if out is None:
        out = torch.empty_like(gradients[0], dtype=torch.float64)
    if len(gradients) == 1:
        return Squares(out.copy_(gradients[0]).square_(), None)
    whole = out.copy_(gradients[0]).add_(gradients[1]).square_()
    return Squares(whole, gradients.double().square_())
