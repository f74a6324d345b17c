"""Length-sorted batches under a token budget."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.models.tokeniser import TokenBlock

__all__ = ["TokenBatch", "on_device", "pad_batch", "plan_batches"]


@dataclass(frozen=True, slots=True, eq=False)
class TokenBatch:
    """B sequences padded to a common length T.

    Args:
        tokens: Token ids, int64, shape (B, T).
        attention_mask: True at real tokens, cls and eos included; bool, shape (B, T).
        rows: Which sequence of the token block each row is, int64, shape (B,).
    """

    tokens: torch.Tensor
    attention_mask: torch.Tensor
    rows: NDArray[np.int64]

    def to(self, device: torch.device | str) -> "TokenBatch":
        """The same batch on a device."""
        return TokenBatch(on_device(self.tokens, device), on_device(self.attention_mask, device), self.rows)


def plan_batches(
    lengths: NDArray[np.integer], token_budget: int, row_multiple: int = 1, token_multiple: int = 1
) -> list[NDArray[np.int64]]:
    """Group sequences of like length.

    The longest come first, so that a budget too large for the device fails at once and not after hours.
    The plan depends on nothing but the arguments.

    Args:
        lengths: Tokens per sequence, shape (n,).
        token_budget: Most tokens of a padded batch, rows times padded length. A sequence longer than
            that is a batch of its own.
        row_multiple: Rows of a batch are rounded down to a multiple of this, where that leaves any and
            sequences of the length are left; measured: 16 helps small models on CPU.
        token_multiple: Padded lengths are rounded up to a multiple of this.

    Returns:
        Row indices per batch, int64; every row is in exactly one.
    """
    if min(token_budget, row_multiple, token_multiple) < 1:
        raise ValueError(
            "token_budget, row_multiple and token_multiple must be at least 1, "
            f"not {token_budget}, {row_multiple} and {token_multiple}"
        )
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    padded = -(-lengths.astype(np.int64)[order] // token_multiple) * token_multiple
    batches: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        rows = max(1, token_budget // max(1, int(padded[start])))
        if rows > row_multiple:
            rows -= rows % row_multiple
        batches.append(order[start : start + rows])
        start += rows
    return batches


def pad_batch(
    block: TokenBlock, rows: NDArray[np.integer], pad_id: int, token_multiple: int = 1
) -> TokenBatch:
    """Lay the given sequences out as a padded matrix.

    Args:
        block: The tokens.
        rows: Indices into the block, shape (B,), B >= 1.
        pad_id: What fills the rest.
        token_multiple: The common length is rounded up to a multiple of this.
    """
    chosen: NDArray[np.int64] = np.asarray(rows, dtype=np.int64)
    starts = block.offsets[:-1][chosen]
    lengths = block.offsets[1:][chosen] - starts
    width = -(-int(lengths.max()) // token_multiple) * token_multiple
    columns = np.arange(width)
    mask = columns < lengths[:, None]
    tokens = np.full(mask.shape, pad_id, dtype=np.int64)
    tokens[mask] = block.tokens[(starts[:, None] + columns)[mask]]
    return TokenBatch(torch.from_numpy(tokens), torch.from_numpy(mask), chosen)


def on_device(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """A tensor on a device; what is made on the processor gets to a GPU while that goes on computing."""
    if tensor.device.type == "cpu" and torch.device(device).type == "cuda":
        # From pageable memory a copy waits until the GPU has done all that it was given before.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
