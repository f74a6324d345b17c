"""What gradients are multiplied by before they are squared: 1 / sqrt(F + damping)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.influence.receipt import origin_of

__all__ = ["FisherScale", "fisher_scale"]

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class FisherScale:
    """The Fisher diagonal as the score pass needs it, in half of the memory.

    For all linear layers of a model F in float64 takes twice the memory of the weights. Who hands a scale to
    a pass instead need not keep F.

    Args:
        values: 1 / sqrt(F + damping), float32, shape (P,).
        shape: Of F: (out, in) of the head or (P,) of linear layers.
        damping: That was added.
        origin: A digest of F.
    """

    values: NDArray[np.float32]
    shape: tuple[int, ...]
    damping: float
    origin: str


def fisher_scale(fisher: NDArray[np.float64] | FisherScale, damping: float) -> FisherScale:
    """The scale of a Fisher diagonal, or one that is made already.

    Args:
        fisher: F, float64.
        damping: To add to each entry.

    Raises:
        InputError: F has entries that no Fisher diagonal has, or the scale is of another damping.
    """
    if isinstance(fisher, FisherScale):
        if fisher.damping != damping:
            raise InputError(
                f"The scale was made with the damping {fisher.damping}, and {damping} is asked for. Make it "
                "from the Fisher diagonal again."
            )
        return fisher
    entries = fisher.reshape(-1)
    scale = np.empty(len(entries), dtype=np.float32)
    # In pieces: the parameters may be all of a large model's.
    for start in range(0, len(entries), _PIECE):
        piece = entries[start : start + _PIECE]
        if not (np.isfinite(piece).all() and (piece >= 0).all()):
            raise InputError("The Fisher diagonal has negative, NaN or infinite entries. Compute it again.")
        scale[start : start + _PIECE] = 1.0 / np.sqrt(piece + damping)
    return FisherScale(scale, fisher.shape, damping, origin_of({}, fisher))
