"""Self-influence under the full empirical Fisher, without ever forming it."""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError

__all__ = ["MOST_MEMBERS", "full_fisher_influence"]

MOST_MEMBERS = 2_000
"""The eigenvalues of an M x M matrix are needed: 2,000 take some seconds and 100 MB."""


def full_fisher_influence(
    members: NDArray[np.floating], gradients: NDArray[np.floating], damping: float
) -> NDArray[np.float64]:
    """g^T (F + damping I)^-1 g with F = G^T G / M, exactly, for any number P of parameters.

    F has at most M directions in which it is not zero: v = G^T u / sqrt(M mu), with u the eigenvectors and mu
    the eigenvalues of the M x M matrix G G^T / M. A gradient's part along v is divided by mu + damping, and
    what lies outside of all of them, where F is zero, by the damping alone. This is the matrix inversion
    lemma (Woodbury) in the basis in which it loses no digits.

    Args:
        members: G, gradients of the subset, shape (M, P), 1 <= M <= 2,000.
        gradients: Of the sequences to score, shape (n, P).
        damping: > 0.

    Returns:
        float64, shape (n,), >= 0.

    Raises:
        InputError: The shapes do not fit, M is out of bounds, or the damping is not above 0.
    """
    count = len(members)
    if members.ndim != 2 or gradients.ndim != 2 or members.shape[1] != gradients.shape[1]:
        raise InputError(
            f"Gradients of the subset have shape {members.shape} and those to score {gradients.shape}; both "
            "are (sequences, parameters) with the same parameters."
        )
    if not 1 <= count <= MOST_MEMBERS:
        raise InputError(
            f"The full Fisher takes 1 to {MOST_MEMBERS:,} sequences of the subset; got {count:,}."
        )
    if not damping > 0:
        raise InputError(f"damping must be above 0; got {damping}.")
    members, gradients = (each.astype(np.float64, copy=False) for each in (members, gradients))
    products = members @ members.T / count
    eigenvalues, vectors = np.linalg.eigh(products)
    # Below the rounding of the products an eigenvalue, and with it its direction, is noise.
    kept = eigenvalues > eigenvalues[-1] * count * np.finfo(np.float64).eps
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    along = (gradients @ members.T) @ vectors
    along = along**2 / (count * eigenvalues)
    total = np.einsum("np,np->n", gradients, gradients)
    outside = np.maximum(total - along.sum(axis=1), 0.0)
    influence: NDArray[np.float64] = (along / (eigenvalues + damping)).sum(axis=1) + outside / damping
    return influence
