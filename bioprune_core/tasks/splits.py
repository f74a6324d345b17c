"""Parts drawn by seed, where data come without them, and smaller training parts."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.tasks.records import Record
from bioprune_core.tasks.task import Part, TaskData
from bioprune_core.tasks.telling import refuse_what_tells_nothing

__all__ = ["divide", "limit_training"]


def divide(
    records: Sequence[Record], share: float, seed: int, equal_together: bool = False
) -> tuple[list[Record], list[Record]]:
    """Draw a share of records; return what is left and what was drawn.

    The share is drawn of every class.

    Args:
        records: n records, in the order of their file.
        share: Between 0 and 1.
        seed: Of the draw.
        equal_together: Whether records of equal sequences are drawn together, as one of the first's class;
            where all sequences differ the draw is the same.
    """
    drawn = _by_class(records, share, np.random.default_rng(seed), equal_together)
    return (
        [record for place, record in enumerate(records) if place not in drawn],
        [record for place, record in enumerate(records) if place in drawn],
    )


def limit_training(data: TaskData, limit: int | None, seed: int) -> TaskData:
    """The same data with at most `limit` training examples, drawn by seed.

    Raises:
        InputError: The limit is below 1, or leaves one class only, or no class of another part.
    """
    train = data.parts[Part.TRAIN]
    if limit is None or len(train) <= limit:
        return data
    if limit < 1:
        raise InputError(f"The limit of training examples is {limit}; it must be at least 1.")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(train))[:limit])
    source = f"{data.source} Of {len(train):,} training examples {limit:,} were drawn with seed {seed}."
    drawn = TaskData(data.task, {**data.parts, Part.TRAIN: train.take(chosen)}, source)
    refuse_what_tells_nothing(
        drawn, f"They were drawn with the limit {limit:,} and seed {seed}: raise the limit."
    )
    return drawn


def _by_class(
    records: Sequence[Record], share: float, random: np.random.Generator, equal_together: bool
) -> set[int]:
    together: dict[object, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        # Of a pair, the order does not matter.
        together[frozenset((record.sequence, record.partner)) if equal_together else place].append(place)
    members = defaultdict(list)
    for places in together.values():
        target = records[places[0]].target
        members[target if isinstance(target, str) else ""].append(places)
    drawn: set[int] = set()
    for name in sorted(members):
        of_class = members[name]
        # Of a class with one example nothing is drawn: it would be missing from the training part.
        count = min(max(1, round(share * len(of_class))), len(of_class) - 1)
        for index in random.permutation(len(of_class))[:count]:
            drawn.update(of_class[index])
    return drawn
