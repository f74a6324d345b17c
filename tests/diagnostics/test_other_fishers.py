"""The full Fisher and K-FAC without their matrices equal explicit inverses in float64."""

import numpy as np
import pytest

from bioprune_core.diagnostics import KroneckerFisher, full_fisher_influence
from bioprune_core.errors import InputError


@pytest.mark.parametrize(("members", "parameters"), [(4, 12), (12, 12), (40, 12), (1, 5)])
@pytest.mark.parametrize("damping", [1e-1, 1e-4, 1e-8])
def test_the_full_fisher_equals_its_dense_inverse(members: int, parameters: int, damping: float) -> None:
    random = np.random.default_rng(members)
    subset = random.normal(size=(members, parameters))
    others = np.concatenate([random.normal(size=(6, parameters)), subset[:2]])
    matrix = subset.T @ subset / members + damping * np.eye(parameters)
    # With directions that only the damping holds, the dense inverse itself has lost digits.
    expected = np.einsum("np,np->n", others, np.linalg.solve(matrix, others.T).T)
    found = full_fisher_influence(subset, others, damping)
    np.testing.assert_allclose(found[:6], expected[:6], rtol=1e-6)
    np.testing.assert_allclose(found[6:], expected[6:], rtol=1e-4, atol=1e-5)


def test_under_the_full_fisher_the_subset_has_the_mean_of_theory() -> None:
    """The mean of g^T (F + d)^-1 g over the subset is the sum of mu / (mu + d) over the eigenvalues of F."""
    subset = np.random.default_rng(3).normal(size=(30, 200)) * np.geomspace(1, 1e-3, 200)
    eigenvalues = np.linalg.eigvalsh(subset @ subset.T / 30)
    found = full_fisher_influence(subset, subset, 1e-5).mean()
    assert found == pytest.approx((eigenvalues / (eigenvalues + 1e-5)).sum(), rel=1e-7)


def test_one_parameter_is_the_diagonal() -> None:
    subset, others = np.array([[1.0], [3.0]]), np.array([[2.0], [0.0]])
    np.testing.assert_allclose(full_fisher_influence(subset, others, 0.5), [4 / 5.5, 0.0])


@pytest.mark.parametrize(
    ("shape", "damping", "words"),
    [
        ((0, 3), 1.0, "1 to 2,000"),
        ((2_001, 3), 1.0, "2,001"),
        ((2, 4), 1.0, "parameters"),
        ((2, 3), 0.0, "damping"),
    ],
)
def test_what_the_full_fisher_cannot_do_is_refused(
    shape: tuple[int, int], damping: float, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        full_fisher_influence(np.ones(shape), np.ones((1, 3)), damping)


@pytest.mark.parametrize("damping", [1.0, 1e-4])
def test_kfac_equals_its_dense_inverse(damping: float) -> None:
    random = np.random.default_rng(7)
    deltas, inputs = random.normal(size=(50, 4)), random.normal(size=(50, 6))
    output_factor, input_factor = deltas.T @ deltas / 10, inputs.T @ inputs / 50
    gradients = random.normal(size=(5, 4, 6))
    matrix = np.kron(output_factor, input_factor) + damping * np.eye(24)
    flat = gradients.reshape(5, 24)
    expected = np.einsum("np,np->n", flat, np.linalg.solve(matrix, flat.T).T)
    found = KroneckerFisher.of(output_factor, input_factor).influence(gradients, damping)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_kfac_of_single_tokens_with_independent_factors_is_the_full_fisher() -> None:
    """All pairs of a few deltas and inputs: there F is the Kronecker product, not only near it."""
    random = np.random.default_rng(8)
    deltas, inputs = random.normal(size=(5, 3)), random.normal(size=(7, 4))
    members = np.stack([np.outer(delta, given).ravel() for delta in deltas for given in inputs])
    gradients = random.normal(size=(6, 3, 4))
    kronecker = KroneckerFisher.of(deltas.T @ deltas / 5, inputs.T @ inputs / 7)
    np.testing.assert_allclose(
        kronecker.influence(gradients, 1e-3),
        full_fisher_influence(members, gradients.reshape(6, 12), 1e-3),
        rtol=1e-8,
    )


def test_kfac_refuses_what_is_no_factor() -> None:
    with pytest.raises(InputError, match="square"):
        KroneckerFisher.of(np.ones((2, 3)), np.ones((2, 2)))
