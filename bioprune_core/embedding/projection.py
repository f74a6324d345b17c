"""Principal components: what the layout, the clusters and the distances are computed in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Projection", "fit_projection"]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A linear map from embeddings to their leading principal components.

    Args:
        mean: Of the embeddings it was fitted on, float32, shape (width,).
        axes: Orthonormal columns, float32, shape (width, components).
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    def apply(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """The components of embeddings of shape (n, width); float32, shape (n, components)."""
        return np.asarray((embeddings - self.mean) @ self.axes, dtype=np.float32)


def fit_projection(embeddings: NDArray[np.float32], components: int) -> Projection:
    """Fit the leading principal components, in float64; at most as many as the embeddings are wide.

    An axis points to where its largest entry is positive, so that the result does not depend on the
    linear algebra library's choice of sign.
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    centred = embeddings - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :components]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    return Projection(mean.astype(np.float32), axes.astype(np.float32))
