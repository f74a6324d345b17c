"""Whether an experiment can rank selections at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bioprune_core.experiments.statistics import Comparison, Result, compare

__all__ = ["CONFIDENCE", "Gate", "GateState", "Verdict", "judge", "overall"]

CONFIDENCE = 0.95
"""One-sided, of each gate."""


class Gate(StrEnum):
    """What must hold before selections are compared."""

    TRAINED = "trained beats untrained"
    """Random B beats the untrained network: pretraining helps this task."""
    LARGER = "random 10 B beats random B"
    """More sequences help, so that which ones can matter."""


class GateState(StrEnum):
    """What a gate said."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """Fewer than two pairs, or fewer than five with equal differences. Selections cannot be ranked then."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate of one task.

    Args:
        gate: Which.
        task: Name of the task.
        protocol: How it was measured.
        metric: By which.
        size: B.
        state: What it said.
        comparison: Of the better one expected to the other; its two-sided level is 90 %.
    """

    gate: Gate
    task: str
    protocol: str
    metric: str
    size: int
    state: GateState
    comparison: Comparison

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        where = f"{self.task} ({self.protocol}, {self.metric}) at B = {self.size:,}"
        found = self.comparison
        if self.state is GateState.UNDECIDED:
            pairs = "1 pair" if found.pairs == 1 else f"{found.pairs} pairs"
            equal = f" whose differences all are {found.mean:+.4g}" if found.is_equal else ""
            return f"{where}: whether {self.gate} is not decided, with {pairs} of seeds{equal}."
        measured = f"mean difference {found.mean:+.4g}, {found.pairs} pairs"
        if self.state is GateState.PASSED:
            return f"{where}: {self.gate} ({measured})."
        return f"{where}: not shown that {self.gate} ({measured}); this task cannot rank selections here."


def judge(
    gate: Gate,
    named: tuple[str, str, str, int],
    better: Mapping[int, float],
    worse: Mapping[int, float],
    seeds: Sequence[int],
    lower_is_better: bool,
) -> Verdict:
    """One gate: passed where the one-sided 95 % bound of the paired difference excludes zero.

    Args:
        gate: Which.
        named: Task, protocol, metric and B.
        better: Finite values by seed of the one that should be better.
        worse: Of the other.
        seeds: All seeds of the experiment.
        lower_is_better: Whether smaller values are better.
    """
    # The bounds of a two-sided 90 % interval are each one-sided 95 %.
    comparison = compare(better, worse, seeds, lower_is_better, confidence=1 - 2 * (1 - CONFIDENCE))
    states = {Result.WIN: GateState.PASSED, Result.UNKNOWN: GateState.UNDECIDED}
    state = states.get(comparison.result, GateState.FAILED)
    task, protocol, metric, size = named
    return Verdict(gate, task, protocol, metric, size, state, comparison)


def overall(verdicts: Sequence[Verdict]) -> str:
    """What the gates say of the whole experiment, for the top of a report."""
    tables = {(each.task, each.protocol, each.size) for each in verdicts}
    barred = {
        (each.task, each.protocol, each.size) for each in verdicts if each.state is not GateState.PASSED
    }
    if not barred:
        return f"Both gates are passed in all {len(tables)} tables: selections can be ranked."
    names = ", ".join(f"{task} ({protocol}) at B = {size:,}" for task, protocol, size in sorted(barred))
    undecided = all(each.state is not GateState.FAILED for each in verdicts)
    if undecided and barred == tables:
        return (
            "This experiment cannot rank selections yet: gates are not decided before two seeds have both "
            f"sides, five where all their differences are equal. Tables: {names}."
        )
    if barred == tables:
        return (
            "This experiment cannot rank selections: in none of its tables are both gates passed. "
            f"Tables: {names}."
        )
    why = " yet, because a gate is not decided" if undecided else ", because a gate is not passed"
    return f"{len(barred)} of {len(tables)} tables cannot rank selections{why}: {names}."
