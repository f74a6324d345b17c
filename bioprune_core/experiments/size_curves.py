"""Metrics over coreset sizes, arm by arm, and what they advise: read from a report."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from bioprune_core.experiments.advice import Advice, SizeCurve, advise
from bioprune_core.experiments.arms import ArmKind, Role
from bioprune_core.experiments.gates import Gate, GateState
from bioprune_core.experiments.report import Report
from bioprune_core.experiments.results import PRETRAINING, Measurement, ReportedTask

__all__ = ["TOLERANCE", "ArmAdvice", "ArmCurve", "advise_size", "advise_sizes", "size_caveat", "size_curves"]

TOLERANCE = 0.01
"""How much worse than the full pool is good enough where nobody says otherwise, as a share of its value."""


@dataclass(frozen=True, slots=True)
class ArmCurve:
    """One arm's values of one metric at every size.

    Args:
        arm: Name of the arm.
        role: Why it is in the table.
        task: Name of the task.
        protocol: How it was measured.
        metric: Its name.
        curve: The values.
    """

    arm: str
    role: Role
    task: str
    protocol: str
    metric: str
    curve: SizeCurve


@dataclass(frozen=True, slots=True)
class ArmAdvice:
    """How small the coreset of an arm can be for one task.

    Args:
        arm: Name of the arm.
        task: Name of the task.
        protocol: How it was measured.
        metric: By which.
        advice: What can be said.
        caveat: Why it says nothing, as `size_caveat`; empty where it does.
    """

    arm: str
    task: str
    protocol: str
    metric: str
    advice: Advice
    caveat: str


def size_curves(report: Report, task: str, protocol: str, metric: str) -> tuple[ArmCurve, ...]:
    """The curves of all arms that have sizes, controls included, in the order of the report.

    A network stands at the number of its sequences: that of random 10 B is not B.

    Args:
        report: Of an experiment.
        task: Name of the task.
        protocol: "probe", "fine-tune"; empty for losses of the networks.
        metric: Its name.
    """
    wanted = (task, protocol, metric)
    found = [each for each in report.measurements if (each.task, each.protocol, each.metric) == wanted]
    lower = any(each.name == task and metric in each.lower_is_better for each in report.tasks)
    names = _arms_of(report, ArmKind.FULL)
    full = {each.seed: each.value for each in found if each.arm in names and each.value is not None}
    full_size = int(next((row.columns.sequences for row in report.controls if row.arm in names), 0))
    counts = {(row.arm, row.size): round(row.columns.sequences) for row in report.controls}
    by_arm: dict[tuple[str, Role], list[Measurement]] = defaultdict(list)
    for each in found:
        if each.size:
            by_arm[each.arm, each.role].append(each)
    return tuple(
        ArmCurve(arm, role, *wanted, SizeCurve(_by_size(values, counts), full, full_size, lower))
        for (arm, role), values in by_arm.items()
    )


def advise_sizes(report: Report, tolerance: float = TOLERANCE) -> tuple[ArmAdvice, ...]:
    """For each task, by its first metric, how small the coreset of each arm can be.

    Args:
        report: Of an experiment.
        tolerance: How much worse than the full pool is good enough, as a share of its mean value; >= 0.

    Returns:
        One for every task, protocol and arm that is no control; empty where the full pool is no arm or the
        experiment has one size only.
    """
    if len(report.config["sizes"]) < 2 or not _arms_of(report, ArmKind.FULL):
        return ()
    return tuple(
        ArmAdvice(
            *(curve.arm, curve.task, curve.protocol, curve.metric, advise_size(curve.curve, tolerance)),
            size_caveat(report, curve.task, curve.protocol),
        )
        for task in report.tasks
        if task.name != PRETRAINING
        for protocol in report.config.get("protocols", ["probe"])
        for curve in size_curves(report, task.name, protocol, _first(task))
        if curve.role is not Role.CONTROL
    )


def size_caveat(report: Report, task: str, protocol: str) -> str:
    """A sentence where nothing follows from a small coreset being as good as all; empty where it does.

    That needs both gates, each at some size: where no more than the untrained network is learned, or ten
    times the sequences add nothing anywhere, every coreset is as good as all.

    Args:
        report: Of an experiment.
        task: Name of the task.
        protocol: "probe" or "fine-tune"; empty for losses of the networks, which have no gates.
    """
    passed = {
        each.gate
        for each in report.gates
        if (each.task, each.protocol, each.state) == (task, protocol, GateState.PASSED)
    }
    missing = [str(gate) for gate in Gate if gate not in passed]
    if not protocol or not missing:
        return ""
    return (
        f"At no size is it shown that {' or that '.join(missing)}: that a small coreset suffices here says "
        "nothing about coresets."
    )


def advise_size(curve: SizeCurve, tolerance: float) -> Advice:
    """The advice of one curve.

    Args:
        curve: Of an arm.
        tolerance: As a share of the full pool's mean value; >= 0.
    """
    mean = sum(curve.full.values()) / len(curve.full) if curve.full else 0.0
    return advise(curve, tolerance * abs(mean))


def _arms_of(report: Report, kind: ArmKind) -> set[str]:
    return {row.arm for row in report.rows if row.kind is kind}


def _first(task: ReportedTask) -> str:
    return task.metrics[0]


def _by_size(
    measurements: list[Measurement], counts: Mapping[tuple[str, int], int]
) -> dict[int, dict[int, float]]:
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for each in measurements:
        if each.value is not None:
            found[counts.get((each.arm, each.size), each.size)][each.seed] = each.value
    return dict(found)
