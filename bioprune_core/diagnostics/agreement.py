"""Whether the subset is large enough: influence under its Fisher and under that of another subset."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.ranks import rank_correlation, top_overlap

__all__ = ["TOP_SHARE", "Agreement", "AgreementVerdict", "compare_influences"]

TOP_SHARE = 0.1
"""The part of the sample with the largest influence that is compared by itself."""

_ALIKE = (0.95, 0.8)
_ROUGHLY = (0.8, 0.5)


class AgreementVerdict(StrEnum):
    """What the two subsets say, by the rules of `compare_influences`."""

    LARGE_ENOUGH = "large-enough"
    ROUGH = "rough"
    TOO_SMALL = "too-small"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two disjoint subsets of the same size rank the same sequences.

    Args:
        verdict: By the rules of `compare_influences`.
        sentence: The verdict in words, with its figures and what to do.
        rank_correlation: Spearman; None where all influences of one side are equal.
        top_overlap: Part of the top tenth under one Fisher that is in the top tenth under the other, 0 to 1.
        subset: M, sequences of either subset.
        sample: Sequences compared, outside of both.
    """

    verdict: AgreementVerdict
    sentence: str
    rank_correlation: float | None
    top_overlap: float
    subset: int
    sample: int

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self) | {"verdict": self.verdict.value}


def compare_influences(first: NDArray[np.float64], second: NDArray[np.float64], subset: int) -> Agreement:
    """Compare the influence of the same sequences under the Fisher of two disjoint subsets.

    large-enough: a rank correlation of at least 0.95 and four fifths of the top tenth in common; rough: at
    least 0.8 and half; too-small: less. Both figures are asked for because a selection works on the top,
    where a rank correlation, which the bulk decides, sees little.

    Args:
        first: Influence under the run's own subset, float64, shape (n,), n >= 1.
        second: Influence under the other, float64, shape (n,).
        subset: M, sequences of either subset.

    Raises:
        InputError: The arrays are empty or differ in length.
    """
    if not len(first) or len(first) != len(second):
        raise InputError(
            f"There are {len(first):,} influences under one subset and {len(second):,} under the other; "
            "both need the same sequences, at least one."
        )
    correlation, overlap = rank_correlation(first, second), top_overlap(first, second, TOP_SHARE)
    verdict = _verdict(correlation, overlap)
    told = "not defined, as all are equal" if correlation is None else f"{correlation:.3f}"
    figures = (
        f"two disjoint subsets of {subset:,} sequences give {len(first):,} others a rank correlation of "
        f"{told}, and {overlap:.0%} of the top tenth under one is in the top tenth under the other"
    )
    return Agreement(verdict, _SENTENCES[verdict].format(figures), correlation, overlap, subset, len(first))


_SENTENCES = {
    AgreementVerdict.LARGE_ENOUGH: "The subset is large enough: {}.",
    AgreementVerdict.ROUGH: (
        "The subset is large enough for broad strata, but not for fine ones or for the very top: {}. "
        "Enlarge the subset where single sequences matter."
    ),
    AgreementVerdict.TOO_SMALL: (
        "The subset is too small: {}. Another draw would select other sequences; enlarge the subset."
    ),
}


def _verdict(correlation: float | None, overlap: float) -> AgreementVerdict:
    if correlation is None:
        return AgreementVerdict.TOO_SMALL
    for verdict, (least_correlation, least_overlap) in (
        (AgreementVerdict.LARGE_ENOUGH, _ALIKE),
        (AgreementVerdict.ROUGH, _ROUGHLY),
    ):
        if correlation >= least_correlation and overlap >= least_overlap:
            return verdict
    return AgreementVerdict.TOO_SMALL
