"""What cells measured, laid out by arm, size, seed, task and metric; what failed or is missing is counted."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bioprune_core.experiments.arms import Role
from bioprune_core.experiments.cells import Place, Plan
from bioprune_core.experiments.configuration import ExperimentConfig

__all__ = [
    "HELD_OUT_LOSSES",
    "PRETRAINING",
    "CellResult",
    "Measurement",
    "ReportedTask",
    "State",
    "collect",
    "held_out_losses",
    "values_by_seed",
]

PRETRAINING = "pretraining"
"""Stands for a task where a loss of the network itself was measured."""
HELD_OUT_LOSSES = ("held_out_loss", "held_out_family_loss", "held_out_family_mean_loss")
"""Masked-LM loss on held-out random sequences, on held-out families, averaged over these families; nats."""


class State(StrEnum):
    """What became of a measurement."""

    MEASURED = "measured"
    FAILED = "failed"
    """Its cell failed, or gave a value that is not finite."""
    MISSING = "missing"
    """Its cell was not computed yet."""


@dataclass(frozen=True, slots=True)
class ReportedTask:
    """A task as a report names it.

    Args:
        name: As in the configuration.
        title: For headings.
        metrics: The first is the one that gates and models are judged by.
        lower_is_better: Those of which smaller values are better; it may name others besides.
        stand_in: For which data these stand in; empty for the original.
    """

    name: str
    title: str
    metrics: tuple[str, ...]
    lower_is_better: frozenset[str]
    stand_in: str = ""


@dataclass(frozen=True, slots=True)
class CellResult:
    """What a cell gave.

    Args:
        metrics: By name. Of a network, the `HELD_OUT_LOSSES` that apply.
        failure: Why it failed; empty where it did not.
        tokens: That a network was trained on, pads not counted; 0 for an untrained one and for measurements.
    """

    metrics: Mapping[str, float]
    failure: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of one network, or why there is none.

    Args:
        arm: Name of the arm.
        role: Why the arm is in the table.
        size: B; 0 for arms without one.
        seed: Of the cell.
        task: Name of the task, or `PRETRAINING`.
        protocol: "probe" or "fine-tune"; empty for losses of the network itself.
        metric: Its name.
        value: Finite; None where there is none.
        state: What became of it.
        reason: Why there is no value; empty where there is one.
        cell: Key of the cell.
    """

    arm: str
    role: Role
    size: int
    seed: int
    task: str
    protocol: str
    metric: str
    value: float | None
    state: State
    reason: str
    cell: str

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def held_out_losses(config: ExperimentConfig) -> tuple[str, ...]:
    """The losses that an experiment measures of every network, by what it holds out."""
    random = HELD_OUT_LOSSES[:1] if config.held_out_share else ()
    return random + (HELD_OUT_LOSSES[1:] if config.held_out_families else ())


def collect(
    config: ExperimentConfig,
    plan: Plan,
    tasks: Sequence[ReportedTask],
    results: Mapping[str, CellResult],
) -> tuple[Measurement, ...]:
    """Every measurement that the plan asks for, in the plan's order.

    A cell that is shared by several places gives each of them its values. An evaluation whose network failed
    counts as failed with the network's reason.

    Args:
        config: The experiment.
        plan: All its cells.
        tasks: What is reported of each task.
        results: By key of the cell; cells not computed yet are absent.
    """
    roles = {arm.name: config.role(arm) for arm in config.all_arms}
    metrics = {task.name: task.metrics for task in tasks}
    losses = held_out_losses(config)
    networks = {cell.key: cell for cell in plan.pretrainings}
    found: list[Measurement] = []
    for cell in plan.pretrainings:
        result = results.get(cell.key)
        found += _spread(cell.places, roles, (PRETRAINING, "", cell.key), losses, result)
    for evaluation in plan.evaluations:
        network = results.get(evaluation.pretraining)
        result = network if network is not None and network.failure else results.get(evaluation.key)
        named = (evaluation.task, evaluation.protocol.value, evaluation.key)
        places = networks[evaluation.pretraining].places
        found += _spread(places, roles, named, metrics[evaluation.task], result)
    return tuple(found)


def values_by_seed(
    measurements: Iterable[Measurement], arm: str, size: int, task: str, protocol: str, metric: str
) -> dict[int, float]:
    """The finite values of one row of the table, by seed.

    Args:
        measurements: All of them.
        arm: Name of the arm.
        size: B; 0 for an arm without one.
        task: Name of the task.
        protocol: As in `Measurement`.
        metric: Its name.
    """
    wanted = (arm, size, task, protocol, metric)
    return {
        each.seed: each.value
        for each in measurements
        if each.value is not None and (each.arm, each.size, each.task, each.protocol, each.metric) == wanted
    }


def _spread(
    places: Sequence[Place],
    roles: Mapping[str, Role],
    named: tuple[str, str, str],
    metrics: Sequence[str],
    result: CellResult | None,
) -> list[Measurement]:
    task, protocol, key = named
    found = []
    for place in places:
        for metric in metrics:
            value, state, reason = _value(result, metric)
            found.append(
                Measurement(
                    place.arm,
                    roles[place.arm],
                    place.size,
                    place.seed,
                    task,
                    protocol,
                    metric,
                    value,
                    state,
                    reason,
                    key,
                )
            )
    return found


def _value(result: CellResult | None, metric: str) -> tuple[float | None, State, str]:
    if result is None:
        return None, State.MISSING, "not computed yet"
    if result.failure:
        return None, State.FAILED, result.failure
    if metric not in result.metrics:
        return None, State.FAILED, f"the cell gave no {metric}"
    value = float(result.metrics[metric])
    if not math.isfinite(value):
        return None, State.FAILED, f"the {metric} is {value}, not a finite number"
    return value, State.MEASURED, ""
