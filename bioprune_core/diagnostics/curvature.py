"""What the diagonal leaves out: its influence beside that of the full Fisher and of K-FAC.

All three are estimated from the same sequences of the subset and score the same other sequences, so that
nothing but the form of the Fisher differs.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.diagnostics.configuration import MOST_PARAMETERS
from bioprune_core.diagnostics.dense_gradients import DenseGradient, dense_gradients
from bioprune_core.diagnostics.full_fisher import full_fisher_influence
from bioprune_core.diagnostics.kronecker import KroneckerFisher
from bioprune_core.influence import InfluenceConfig
from bioprune_core.influence.backoff import Backoff
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.ranks import rank_correlation
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["Curvature", "CurvatureRow", "compare_curvature"]


@dataclass(frozen=True, slots=True)
class CurvatureRow:
    """One other form of the Fisher.

    Args:
        form: "full", "kronecker" or "diagonal".
        damping: With which its influence was computed.
        rank_correlation: Spearman with the diagonal at the run's damping; None where one side is constant.
    """

    form: str
    damping: float
    rank_correlation: float | None


@dataclass(frozen=True, slots=True)
class Curvature:
    """The diagonal beside other forms of the Fisher.

    Args:
        rows: The other forms, each at the run's damping and at `mean_diagonal`.
        damping: The run's.
        mean_diagonal: Mean of the diagonal, trace(F) / P.
        parameters: P, of the dense weight.
        members: Sequences of the subset that all forms were estimated from.
        sample: Sequences compared.
        full: Whether the full Fisher was computed; it is not for more than 20,000 parameters.
    """

    rows: tuple[CurvatureRow, ...]
    damping: float
    mean_diagonal: float
    parameters: int
    members: int
    sample: int
    full: bool

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self) | {"rows": [asdict(row) for row in self.rows]}


def compare_curvature(
    model: MaskedLanguageModel,
    members: SequenceBlock,
    sample: SequenceBlock,
    config: InfluenceConfig,
    advance: Callable[[int], None] = lambda _: None,
) -> Curvature:
    """Compare the order that the diagonal gives a sample with those of the full Fisher and of K-FAC.

    The run's damping is far below most of the diagonal but far above the zeros that a full Fisher of M
    sequences has in all but M of its directions, where it alone decides. Both others are therefore also
    computed at a damping of trace(F) / P.

    Args:
        model: The adapted model.
        members: Sequences of the subset, 1 to 2,000.
        sample: Sequences to score; better none of the subset, whose full influence is at most M.
        config: Of the run; `is_supported`.
        advance: Called with the number of sequences just finished.

    Raises:
        StageError: The device has no memory for a single sequence alone; names its position.
    """
    weight = model.head.dense.weight
    full = int(weight.numel()) <= MOST_PARAMETERS
    estimate = _Estimate(tuple(weight.shape), len(members) if full else 0)
    backoff = Backoff()
    estimate.add_all(dense_gradients(model, members, config, advance, backoff))
    diagonal, kronecker = estimate.diagonal, estimate.kronecker
    mean = float(diagonal.mean())
    dampings = (config.damping, mean) if mean > 0 else (config.damping,)
    scores = {(form, value): np.empty(len(sample)) for form in _FORMS for value in dampings}
    gradients = np.empty((len(sample) if full else 0, weight.numel()))
    for found in dense_gradients(model, sample, config, advance, backoff):
        matrix = found.gradient
        for value in dampings:
            scores["diagonal", value][found.row] = (matrix**2 / (diagonal + value)).sum()
            scores["kronecker", value][found.row] = kronecker.influence(matrix[None], value)[0]
        if full:
            gradients[found.row] = matrix.ravel()
    if full:
        for value in dampings:
            scores["full", value] = full_fisher_influence(estimate.gradients, gradients, value)
    reference = scores["diagonal", config.damping]
    rows = [
        CurvatureRow(form, value, rank_correlation(reference, scores[form, value]))
        for form in _FORMS
        for value in dampings
        if (form, value) != ("diagonal", config.damping) and (form != "full" or full)
    ]
    return Curvature(tuple(rows), config.damping, mean, int(weight.numel()), len(members), len(sample), full)


_FORMS = ("full", "kronecker", "diagonal")


class _Estimate:
    """All three forms of the Fisher, from one sequence after the other.

    Args:
        shape: Of a gradient, (out, in).
        kept: Sequences whose gradients are kept for the full Fisher: all, or none.
    """

    def __init__(self, shape: tuple[int, ...], kept: int) -> None:
        outputs, inputs = shape
        self.gradients = np.empty((kept, outputs * inputs))
        self._squares = np.zeros((outputs, inputs))
        self._output_factor = np.zeros((outputs, outputs))
        self._input_factor = np.zeros((inputs, inputs))
        self._members = 0
        self._tokens = 0

    def add_all(self, gradients: Iterable[DenseGradient]) -> None:
        # Here, so that the last batch of the members goes before the first of the sample comes.
        for gradient in gradients:
            self.add(gradient.row, gradient.deltas, gradient.inputs)

    def add(self, row: int, deltas: NDArray[np.float64], inputs: NDArray[np.float64]) -> None:
        gradient = deltas.T @ inputs
        self._squares += gradient**2
        self._output_factor += deltas.T @ deltas
        self._input_factor += inputs.T @ inputs
        self._members += 1
        self._tokens += len(inputs)
        if len(self.gradients):
            self.gradients[row] = gradient.ravel()

    @property
    def diagonal(self) -> NDArray[np.float64]:
        return self._squares / self._members

    @property
    def kronecker(self) -> KroneckerFisher:
        return KroneckerFisher.of(self._output_factor / self._members, self._input_factor / self._tokens)
