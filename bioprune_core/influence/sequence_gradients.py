"""Per-sequence gradients of a linear layer's weight, and their squares, a few sequences at a time.

G_i = sum_t delta_it a_it^T, one matrix product a sequence, with delta the gradient at the layer's output and
a its input. Source: method, section 3.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["SquareSink", "squared_gradients"]

# Gradients of one chunk of sequences, in float32. Small enough to stay in the cache between being
# multiplied, squared and summed on a CPU; large enough to fill a GPU.
CHUNK_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}


class SquareSink(Protocol):
    """Who sums squared gradients, over sequences (the Fisher) or over parameters (the scores)."""

    def take(self, parameters: slice, rows: NDArray[np.int64], squared: torch.Tensor) -> None:
        """Take the squares of some sequences and parameters; each pair comes exactly once.

        Args:
            parameters: Which of the P parameters under study.
            rows: Which sequences of the block, int64, shape (n,).
            squared: float64, shape (n, p), on the device; overwritten after the call.
        """
        ...


def squared_gradients(
    delta: torch.Tensor, inputs: torch.Tensor, extents: list[int]
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Squares of the gradients of a batch's sequences, a few sequences at a time.

    Args:
        delta: Gradient at the output of the layer, float32, shape (B, T, out); 0 at pads.
        inputs: Input of the layer, float32, shape (B, T, in); finite at pads.
        extents: Columns of each sequence beyond which delta is 0, (B,).

    Yields:
        The rows of the batch and their squared gradients, float64, shape (rows, out, in). The tensor is
        overwritten by the next one.
    """
    rows, _, width_out = delta.shape
    width_in = inputs.shape[-1]
    limit = CHUNK_BYTES.get(delta.device.type, CHUNK_BYTES["cuda"])
    size = min(rows, max(1, limit // (4 * width_out * width_in)))
    # Kept over the chunks: fresh pages for every chunk cost as much as the arithmetic.
    gradients = delta.new_empty((size, width_out, width_in))
    squares = torch.empty_like(gradients, dtype=torch.float64)
    for start in range(0, rows, size):
        chunk = slice(start, min(start + size, rows))
        longest = max(extents[chunk])
        count = chunk.stop - start
        torch.bmm(delta[chunk, :longest].transpose(1, 2), inputs[chunk, :longest], out=gradients[:count])
        # float64, since the entries of g^2 span more than the exponents of float32 allow for.
        yield chunk, squares[:count].copy_(gradients[:count]).square_()
