"""Drawing an arm's sequences from a pool."""

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.experiments.arms import RANDOM_MULTIPLE, Arm, ArmKind
from bioprune_core.experiments.pool import UNGROUPED, Pool
from bioprune_core.selection import Strategy, select
from bioprune_core.selection.ranking import seeded_rank

__all__ = ["Drawn", "draw", "prune_rate_for", "summarise_draw"]

# floor(alpha N / 100) is exact with this many decimals of alpha for pools of up to 10^12 sequences.
_DECIMALS = 12

# A saved coreset loses what is held out or tested; below this share of it arms are not of equal size.
_LEAST_OF_SAVED = 0.9

# Who stands for a group must not depend on the order that draws go by: the member that comes first there
# would come early among all representatives, the earlier the larger its group. Far above the seeds of draws.
_REPRESENTATIVE_SEED = 1 << 65


@dataclass(frozen=True, slots=True)
class Drawn:
    """What identifies a draw, without its positions.

    Args:
        digest: SHA-256 of the positions: equal draws are trained on once, whatever they are called.
        sequences: How many.
        tokens: Of all of them together, once.
    """

    digest: str
    sequences: int
    tokens: int


def draw(arm: Arm, size: int, pool: Pool, seed: int) -> NDArray[np.int64]:
    """The sequences of an arm.

    Full, top-influence, bottom-influence and saved draws are the same for every seed, but for those of one
    sequence a group: there the seed moves the pretraining alone. Random draws of one seed are nested, and
    all arms of one seed share the random order, so that a difference between two arms of a seed comes from
    their rules.

    Args:
        arm: What to draw by. `untrained` draws nothing.
        size: B. `random-10x` draws 10 B, or all that may be drawn where there are fewer.
        pool: The pool. Nothing excluded or held out is drawn; rates such as beta are of what is left.
        seed: As `draw_seed` gives it; non-negative.

    Returns:
        Positions in the pool, ascending, int64, shape (B,); of a saved coreset those that may be drawn.

    Raises:
        InputError: B is not below what may be drawn, influence is missing, or a saved coreset is unknown, has
            another size, or has lost more than a tenth.
    """
    if arm.kind is ArmKind.UNTRAINED:
        return np.empty(0, np.int64)
    eligible = pool.eligible
    if arm.kind is ArmKind.FULL:
        return eligible
    if arm.one_per:
        eligible = _representatives(eligible, arm.one_per, pool, seed)
    if not 1 <= size < len(eligible):
        among = f", one per {arm.one_per}" if arm.one_per else ""
        raise InputError(
            f"The coreset size is {size:,}, but {len(eligible):,} of {len(pool):,} sequences of the pool may "
            f"be drawn{among}; a size must be at least 1 and less than that. Choose a smaller one, or "
            "hold out less."
        )
    if arm.kind is ArmKind.SAVED:
        return _saved(arm, size, pool, eligible)
    if arm.of is not None:
        matched = draw(arm.of, size, pool, seed)
        return _mixture_matched(matched, pool.codes(arm.grouping), eligible, pool, seed)
    if arm.selection is None:
        wanted = size * RANDOM_MULTIPLE if arm.kind is ArmKind.RANDOM_TENFOLD else size
        return _first(eligible, min(wanted, len(eligible)), pool, seed)
    return _selected(arm, size, pool, eligible, seed)


def summarise_draw(positions: NDArray[np.int64], pool: Pool) -> Drawn:
    """What identifies a draw.

    Args:
        positions: Ascending, int64, shape (B,).
        pool: What they were drawn from.
    """
    # By the hashes in their own order: the same sequences are the same draw, however the rows come.
    chosen = np.sort(pool.hashes[positions])
    digest = hashlib.sha256(chosen.astype("<u8").tobytes()).hexdigest()
    return Drawn(digest, len(positions), int(pool.tokens[positions].sum()))


def prune_rate_for(size: int, pool_size: int) -> str:
    """alpha in percent, as an exact decimal, such that N - floor(alpha N / 100) is B.

    Args:
        size: B, 1 <= B <= N.
        pool_size: N, at most 10^12.
    """
    scaled = math.ceil(Fraction(100 * (pool_size - size) * 10**_DECIMALS, pool_size))
    whole, rest = divmod(scaled, 10**_DECIMALS)
    return f"{whole}.{rest:0{_DECIMALS}d}"


def _selected(arm: Arm, size: int, pool: Pool, eligible: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    if arm.needs_influence and pool.influence is None:
        raise InputError(
            f'The arm "{arm.name}" selects by influence, but the experiment names no scored run. '
            "Set `run`, or leave the arm out."
        )
    influence = np.zeros(len(eligible)) if pool.influence is None else pool.influence[eligible]
    # A draw by length looks at no influence, and must not be refused for a score that is not finite.
    if arm.selection in (Strategy.RANDOM, Strategy.LENGTH_STRATIFIED):
        influence = np.zeros(len(eligible))
    config = arm.selection_config(prune_rate_for(size, len(eligible)), seed)
    chosen = select(
        influence,
        config.strategy,
        config.prune_rate,
        config.hardest_cut,
        config.strata,
        config.seed,
        pool.hashes[eligible],
        strata_kind=config.strata_kind,
        lengths=pool.lengths[eligible],
        measure=config.measure,
    )
    return np.asarray(eligible[chosen])


def _saved(arm: Arm, size: int, pool: Pool, eligible: NDArray[np.int64]) -> NDArray[np.int64]:
    if arm.coreset not in pool.saved:
        known = ", ".join(sorted(pool.saved)) or "none"
        raise InputError(f'There is no saved coreset "{arm.coreset}" of this pool; there is: {known}.')
    saved = pool.saved[arm.coreset]
    kept = np.intersect1d(saved, eligible)
    if size not in (len(saved), len(kept)):
        raise InputError(
            f'The saved coreset "{arm.coreset}" has {len(saved):,} sequences, but the coreset size is '
            f"{size:,}; arms are compared at equal sizes. Add {len(saved)} to `sizes` and give the arm "
            f"`sizes = [{len(saved)}]`."
        )
    if len(kept) < _LEAST_OF_SAVED * size:
        raise InputError(
            f'Of the {len(saved):,} sequences of the saved coreset "{arm.coreset}" {len(kept):,} are neither '
            f"excluded nor held out: too few to be compared with draws of {size:,}. Hold out or exclude "
            "less, or leave the coreset out."
        )
    return kept.astype(np.int64)


def _representatives(eligible: NDArray[np.int64], grouping: str, pool: Pool, seed: int) -> NDArray[np.int64]:
    """One sequence of each group, uniformly, and all that are in none; ascending, int64."""
    codes = pool.codes(grouping)[eligible]
    order = _order(eligible, pool, _REPRESENTATIVE_SEED + seed)
    grouped = order[codes[order] != UNGROUPED]
    first = grouped[np.unique(codes[grouped], return_index=True)[1]]
    return np.sort(np.concatenate([eligible[first], eligible[codes == UNGROUPED]]))


def _mixture_matched(
    matched: NDArray[np.int64],
    codes: NDArray[np.int64],
    eligible: NDArray[np.int64],
    pool: Pool,
    seed: int,
) -> NDArray[np.int64]:
    """As many of each group as `matched` has, which was drawn from `eligible` or from a part of it."""
    order = eligible[_order(eligible, pool, seed)]
    # Grouped, and in random order within each group.
    order = order[np.argsort(codes[order], kind="stable")]
    groups, starts = np.unique(codes[order], return_index=True)
    wanted = np.zeros(len(groups), np.int64)
    present, counts = np.unique(codes[matched], return_counts=True)
    wanted[np.searchsorted(groups, present)] = counts
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    taken = order[place < np.repeat(wanted, np.diff(np.append(starts, len(order))))]
    return np.sort(taken)


def _first(positions: NDArray[np.int64], count: int, pool: Pool, seed: int) -> NDArray[np.int64]:
    return np.sort(positions[_order(positions, pool, seed)[:count]])


def _order(positions: NDArray[np.int64], pool: Pool, seed: int) -> NDArray[np.int64]:
    hashes = pool.hashes[positions]
    return np.asarray(np.lexsort((hashes, seeded_rank(hashes, seed))), dtype=np.int64)
