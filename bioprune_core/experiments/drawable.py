"""Whether an experiment can be drawn at all, told before anything long is computed."""

from dataclasses import replace

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.experiments.arms import Arm, ArmKind, draw_seed
from bioprune_core.experiments.configuration import ExperimentConfig
from bioprune_core.experiments.draws import draw
from bioprune_core.experiments.pool import Pool

__all__ = ["refuse_what_cannot_be_drawn"]


def refuse_what_cannot_be_drawn(config: ExperimentConfig, pool: Pool) -> None:
    """Refuse an experiment whose groupings, arms or sizes do not fit its pool.

    What is excluded later only leaves less to draw from, so whatever is refused here is refused in the end.

    Args:
        config: The experiment.
        pool: What is known of its pool so far; clusters, which take long, are taken to be there,
            of one sequence each.

    Raises:
        InputError: A grouping is missing, a size is too large, or a saved coreset has too few sequences.
        SelectionError: An arm's parameters contradict each other at a size.
    """
    clustered = replace(pool, groups={**pool.groups, "cluster": np.arange(len(pool), dtype=np.int64)})
    for grouping in config.groupings:
        clustered.codes(grouping)
    for arm in config.all_arms:
        for size in arm.sizes or config.sizes:
            _refuse(arm, size, config, clustered)


def _refuse(arm: Arm, size: int, config: ExperimentConfig, pool: Pool) -> None:
    drawn = arm if arm.of is None else arm.of
    if drawn.kind is not ArmKind.SAVED:
        draw(drawn, size, pool, draw_seed(config.draw_seed, config.seeds[0]))
        return
    # Which of its sequences are excluded or held out is not known yet, but there are never more.
    draw(config.reference, size, pool, draw_seed(config.draw_seed, config.seeds[0]))
    positions = pool.saved.get(drawn.coreset)
    if positions is not None and len(positions) < size:
        raise InputError(
            f'The saved coreset "{drawn.coreset}" has {len(positions):,} sequences, but the coreset size is '
            f"{size:,}; arms are compared at equal sizes. Give the arm `sizes = [{len(positions)}]`."
        )
