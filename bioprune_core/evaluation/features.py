"""Features of residues and their scaling, wherever they come from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ResidueFeatures", "Scaling"]

_AT_ONCE = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class ResidueFeatures:
    """The residues of n sequences, end to end.

    Args:
        values: One row a residue, float16 or float32, shape (total residues, d).
        offsets: Sequence i is `values[offsets[i]:offsets[i + 1]]`; int64, shape (n + 1,).
    """

    values: NDArray[np.floating]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def width(self) -> int:
        """Features of a residue, d."""
        return int(self.values.shape[1])

    def of(self, index: int) -> NDArray[np.float32]:
        """The residues of sequence `index`, float32, shape (L, d)."""
        return self.values[self.offsets[index] : self.offsets[index + 1]].astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """What brings each feature to mean 0 and deviation 1 over the examples that it was fitted to.

    Args:
        mean: float32, shape (d,).
        deviation: float32, shape (d,); 1 where a feature is constant.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> "Scaling":
        """The scaling of n examples; `values` has shape (n, d), n >= 1."""
        mean = values.mean(axis=0, dtype=np.float64)
        # In blocks, because float64 copies of all residues are four times the features themselves.
        blocks = range(0, len(values), _AT_ONCE)
        squares = [((values[start : start + _AT_ONCE] - mean) ** 2).sum(axis=0) for start in blocks]
        deviation = np.sqrt(np.sum(squares, axis=0) / len(values))
        # Rounding leaves a constant feature a little deviation, by which it would be blown up to noise.
        constant = deviation <= 1e-6 * np.maximum(values.max(axis=0), -values.min(axis=0))
        return cls(
            mean.astype(np.float32),
            np.where(constant, 1.0, deviation).astype(np.float32),
        )

    def __call__(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scaled features, float32, shape (n, d)."""
        scaled: NDArray[np.float32] = (values.astype(np.float32) - self.mean) / self.deviation
        return scaled
