"""Self-influence of a dense layer under the Kronecker-factored Fisher (K-FAC)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError

__all__ = ["KroneckerFisher"]


@dataclass(frozen=True, slots=True, eq=False)
class KroneckerFisher:
    """F ~ S (x) A for a layer y = W a, kept as the eigenvalues and eigenvectors of its two factors.

    The gradient of one sequence is G = sum_t delta_t a_t^T. Taken as if its tokens, and a token's delta and
    a, had nothing to do with one another, the second moment of vec(G) is S (x) A with

        S = mean over sequences of sum_t delta_t delta_t^T,    shape (out, out)
        A = mean over tokens of a_t a_t^T,                     shape (in, in)

    Args:
        output_values: Eigenvalues of S, >= 0, float64, shape (out,).
        output_vectors: Its eigenvectors in columns, shape (out, out).
        input_values: Eigenvalues of A, >= 0, float64, shape (in,).
        input_vectors: Its eigenvectors in columns, shape (in, in).

    Source: K-FAC, arXiv 1503.05671; for weights shared over tokens arXiv 2311.00636, the "expand" setting.
    """

    output_values: NDArray[np.float64]
    output_vectors: NDArray[np.float64]
    input_values: NDArray[np.float64]
    input_vectors: NDArray[np.float64]

    @classmethod
    def of(cls, output_factor: NDArray[np.float64], input_factor: NDArray[np.float64]) -> Self:
        """From S, shape (out, out), and A, shape (in, in), both symmetric and positive semidefinite.

        Raises:
            InputError: A factor is not a square matrix.
        """
        for factor in (output_factor, input_factor):
            if factor.ndim != 2 or factor.shape[0] != factor.shape[1]:
                raise InputError(f"A factor of K-FAC is a square matrix; got shape {factor.shape}.")
        output_values, output_vectors = np.linalg.eigh(output_factor)
        input_values, input_vectors = np.linalg.eigh(input_factor)
        # Rounding leaves eigenvalues of zero a little below it.
        return cls(
            np.maximum(output_values, 0.0), output_vectors, np.maximum(input_values, 0.0), input_vectors
        )

    def influence(self, gradients: NDArray[np.floating], damping: float) -> NDArray[np.float64]:
        """vec(G)^T (S (x) A + damping I)^-1 vec(G), exactly: the damping is not split over the factors.

        Args:
            gradients: G of each sequence, shape (n, out, in).
            damping: > 0.

        Returns:
            float64, shape (n,), >= 0.
        """
        inverse = 1.0 / (np.multiply.outer(self.output_values, self.input_values) + damping)
        # One at a time: of a wide head a few hundred gradients at once are gigabytes.
        return np.array(
            [
                (
                    (self.output_vectors.T @ gradient.astype(np.float64) @ self.input_vectors) ** 2 * inverse
                ).sum()
                for gradient in gradients
            ]
        )
