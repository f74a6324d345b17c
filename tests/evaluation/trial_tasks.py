"""Tasks whose answers are in the letters, so that any network's features can learn them."""

import numpy as np

from bioprune_core.alphabet import Alphabet
from bioprune_core.tasks import Examples, Part, TargetKind, Task, TaskData

__all__ = ["trial_task"]

_SIZES = {Part.TRAIN: 60, Part.VALIDATION: 24, Part.TEST: 30}
_METRICS = {
    TargetKind.CLASS: ("accuracy", "macro_f1"),
    TargetKind.VALUE: ("spearman", "mse"),
    TargetKind.LABELS: ("mean_auc",),
    TargetKind.RESIDUE_CLASS: ("q3",),
    TargetKind.PAIRS: ("f1", "precision", "recall"),
    TargetKind.PAIR_VALUES: ("r2", "mse"),
}


def trial_task(kind: TargetKind, random: np.random.Generator, *, partners: bool = False) -> TaskData:
    """CLASS: which letter prevails. VALUE: share of G. LABELS: whether A, and whether U are many.
    RESIDUE_CLASS: purine or pyrimidine. PAIRS: ends that face each other in a hairpin of G and C.
    PAIR_VALUES: their distance.
    """
    names = {TargetKind.CLASS: ("mostly-A", "mostly-C", "mostly-G"), TargetKind.LABELS: ("A", "U")}
    classes = names.get(kind, ("R", "Y") if kind is TargetKind.RESIDUE_CLASS else ())
    task = Task("trial", "Trial", Alphabet.RNA, kind, _METRICS[kind], classes, partners)
    # Maps have hundreds of cells each.
    share = 3 if kind in (TargetKind.PAIRS, TargetKind.PAIR_VALUES) else 1
    parts = {part: _examples(kind, count // share, random, partners) for part, count in _SIZES.items()}
    return TaskData(task, parts, "Made for a test.")


def _examples(kind: TargetKind, count: int, random: np.random.Generator, partners: bool) -> Examples:
    made = [_example(kind, row, random) for row in range(count)]
    sequences = tuple(sequence for sequence, _ in made)
    found = [target for _, target in made]
    targets = tuple(found) if kind.is_ragged else np.array(found)
    others = tuple(sequences[::-1]) if partners else None
    return Examples(sequences, others, targets, tuple(f"e{row}" for row in range(count)))


def _example(kind: TargetKind, row: int, random: np.random.Generator) -> tuple[str, object]:
    length = int(random.integers(12, 18 if kind in (TargetKind.PAIRS, TargetKind.PAIR_VALUES) else 30))
    if kind is TargetKind.PAIRS:
        stem = int(random.integers(3, 6))
        sequence = "G" * stem + "A" * (length - 2 * stem) + "C" * stem
        cells = np.zeros((length, length), dtype=np.int8)
        for place in range(stem):
            cells[place, length - 1 - place] = cells[length - 1 - place, place] = 1
        return sequence, cells
    prevailing = row % 3
    chances = np.full(4, 0.13)
    chances[prevailing] = 0.61
    sequence = "".join(random.choice(list("ACGU"), length, p=chances))
    if kind is TargetKind.CLASS:
        return sequence, prevailing
    if kind is TargetKind.VALUE:
        return sequence, sequence.count("G") / length
    if kind is TargetKind.LABELS:
        return sequence, [sequence.count(letter) > 0.25 * length for letter in "AU"]
    if kind is TargetKind.RESIDUE_CLASS:
        target = np.array([0 if letter in "AG" else 1 for letter in sequence])
        target[0] = -1
        return sequence, target
    places = np.arange(length)
    distances = np.abs(places[:, None] - places[None]).astype(np.float32)
    distances[0, 0] = np.nan
    return sequence, distances
