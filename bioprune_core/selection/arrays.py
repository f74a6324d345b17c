"""Selection from arrays: the public `select`."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.hashing import sequence_hash
from bioprune_core.selection.array_source import ArrayScores
from bioprune_core.selection.config import Measure, SelectionConfig, StrataKind, Strategy
from bioprune_core.selection.length_adjustment import fit_length_adjustment
from bioprune_core.selection.occupancy import measure_occupancy
from bioprune_core.selection.planning import SelectionRule, apply_rule, choose_members, plan_selection
from bioprune_core.selection.validation import require_finite

__all__ = ["as_hashes", "select", "select_with_rule"]


def select(
    influence: ArrayLike,
    strategy: Strategy | str = Strategy.COVERAGE_CENTRIC,
    prune_rate: Decimal | float | str = 90,
    hardest_cut: Decimal | float | str = 5,
    strata: int = 50,
    seed: int = 0,
    ids: Sequence[str] | ArrayLike | None = None,
    *,
    strata_kind: StrataKind | str = StrataKind.EQUAL_WIDTH,
    lengths: ArrayLike | None = None,
    measure: Measure | str = Measure.INFLUENCE,
) -> NDArray[np.int64]:
    """Select a coreset of B = N - floor(prune_rate * N / 100) sequences.

    The result depends on scores, ids and seed alone, not on the order of the rows; a coreset with a larger
    prune rate and all else equal is a subset of one with a smaller.

    Args:
        influence: Self-influence of each sequence, shape (N,), finite.
        strategy: `coverage_centric`, `top_influence`, `random`, `bottom_influence` or `length_stratified`.
        prune_rate: alpha, percent of the pool left out, 0 <= alpha < 100.
        hardest_cut: beta, percent with the largest influence dropped first by `coverage_centric`; beta <=
            alpha.
        strata: k, number of strata, 1 to 10,000.
        seed: Chooses the random order of the sequences.
        ids: What tells the sequences apart and breaks ties: unique sequence hashes (integers of up to 64
            bits) or unique strings, shape (N,). None takes row numbers, and then the order of the rows
            matters.
        strata_kind: `equal-width`, `log-width`, `cum-sqrt-f` or `quantile`.
        lengths: Length of each sequence, in tokens as a run counts them, shape (N,); `length_stratified` and
            the measure `length-adjusted` need it.
        measure: `influence`, or `length-adjusted` for the residual of log influence on log length.

    Returns:
        Positions of the selected rows, ascending, int64, shape (B,).

    Raises:
        SelectionError: A parameter or an array is not acceptable; names value, bound and remedy.

    Source: arXiv 2512.12932 (CCI) and 2210.15809 (coverage-centric selection).
    """
    config = SelectionConfig(
        strategy=strategy,  # type: ignore[arg-type]  # names and floats are converted and checked there
        prune_rate=prune_rate,  # type: ignore[arg-type]
        hardest_cut=hardest_cut,  # type: ignore[arg-type]
        strata=strata,
        strata_kind=strata_kind,  # type: ignore[arg-type]
        seed=seed,
        measure=measure,  # type: ignore[arg-type]
    )
    source = _source(influence, config, ids, lengths)
    occupancy = measure_occupancy(source, config)
    members = choose_members(source, occupancy)
    return apply_rule(source, plan_selection(source, occupancy)) if members is None else members.positions


def select_with_rule(
    influence: ArrayLike,
    config: SelectionConfig,
    ids: Sequence[str] | ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> tuple[NDArray[np.int64], SelectionRule]:
    """As `select`, with the rule that was applied: its occupancy has the budgets per stratum and the
    warnings."""
    source = _source(influence, config, ids, lengths)
    rule = plan_selection(source, measure_occupancy(source, config))
    return apply_rule(source, rule), rule


def _source(
    influence: ArrayLike,
    config: SelectionConfig,
    ids: Sequence[str] | ArrayLike | None,
    lengths: ArrayLike | None,
) -> ArrayScores:
    name = "influence scores"
    scores = _scores(influence, name)
    by_length = config.strategy is Strategy.LENGTH_STRATIFIED
    if by_length or config.adjusts_length:
        if lengths is None:
            what = "strategy length_stratified" if by_length else "measure length-adjusted"
            raise SelectionError(f"The {what} needs `lengths`, one for each sequence.")
        require_finite(int(np.count_nonzero(~np.isfinite(scores))), len(scores), "influence scores")
        column = _scores(lengths, "lengths")
        if len(column) != len(scores):
            raise SelectionError(
                f"There are {len(column):,} lengths for {len(scores):,} scores; give one for each."
            )
        if by_length:
            name, scores = "lengths", column
        else:
            scores = fit_length_adjustment(scores, column).apply(scores, column)
    return ArrayScores(scores, as_hashes(ids, len(scores)), name)


def as_hashes(ids: Sequence[str] | ArrayLike | None, count: int) -> NDArray[np.uint64]:
    """Unique 64-bit hashes of ids; row numbers for None.

    Raises:
        SelectionError: Their number is not `count`, some are equal, or they are neither integers nor text.
    """
    if ids is None:
        return np.arange(count, dtype=np.uint64)
    given = np.asarray(ids)
    if given.ndim != 1 or len(given) != count:
        raise SelectionError(f"There are {given.size:,} ids for {count:,} scores; give one for each.")
    if given.dtype.kind in "UO" and all(isinstance(name, str) for name in given):
        hashes = np.fromiter((sequence_hash(name.encode()) for name in given), dtype=np.uint64, count=count)
    elif given.dtype.kind in "iu":
        hashes = given.astype(np.uint64, copy=False)
    else:
        raise SelectionError(f"The ids are of type {given.dtype}; give integers (sequence hashes) or text.")
    copies = _copies(hashes)
    if copies:
        raise SelectionError(
            f"{copies:,} of {count:,} ids repeat an earlier one, so ties could not be broken. "
            "Deduplicate the sequences first, or leave `ids` out to go by row number."
        )
    return hashes


def _scores(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        scores = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SelectionError(
            f"The {name} are not all numbers; give one number each.", detail=str(error)
        ) from error
    if np.ndim(values) != 1:
        raise SelectionError(
            f"The {name} have {np.ndim(values)} dimensions; give one number for each sequence."
        )
    return scores


def _copies(hashes: NDArray[np.uint64]) -> int:
    ordered = np.sort(hashes)
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))
