"""An experiment's results as one object: gates, rows, controls, failures, and the paper's numbers apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bioprune_core.experiments.arms import Arm, ArmKind, Role
from bioprune_core.experiments.cells import Place, Plan
from bioprune_core.experiments.columns import CoresetColumns, average_columns
from bioprune_core.experiments.configuration import ExperimentConfig
from bioprune_core.experiments.gates import Gate, Verdict, judge, overall
from bioprune_core.experiments.paper import SOURCE, PaperNumber, paper_numbers
from bioprune_core.experiments.results import (
    PRETRAINING,
    CellResult,
    Measurement,
    ReportedTask,
    State,
    collect,
    held_out_losses,
    values_by_seed,
)
from bioprune_core.experiments.rows import Row, Values, block_rows
from bioprune_core.experiments.settings import Budget

__all__ = ["ControlRow", "Report", "build_report"]


@dataclass(frozen=True, slots=True)
class ControlRow:
    """What an arm's draws consist of, averaged over seeds.

    Args:
        arm: Name of the arm.
        role: Why it is in the table.
        size: B; 0 for an arm without one.
        columns: Means over the draws.
        tokens: That its networks were trained on, pads not counted, mean over those that are done; None
            before.
    """

    arm: str
    role: Role
    size: int
    columns: CoresetColumns
    tokens: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that an experiment says.

    Args:
        config: As JSON.
        digest: Of the configuration.
        tasks: What was measured, the losses of the networks themselves among them.
        conclusion: Whether selections can be ranked; the first sentence of every rendering.
        gates: Of every task, protocol and size.
        rows: Of every task, protocol, metric and size.
        controls: What the draws consist of.
        measurements: One of every network and metric, also those that failed or are missing.
        notes: Sentences on what limits the results.
        equal: What is equal between the arms.
        hardware: How much was computed on each machine, by its description.
        paper: The paper's numbers for these tasks.
        paper_source: Where they are from.
        fine_tuned: Whether the run's model was fine-tuned on a subset before it scored; None without a run.
    """

    config: Mapping[str, Any]
    digest: str
    tasks: tuple[ReportedTask, ...]
    conclusion: str
    gates: tuple[Verdict, ...]
    rows: tuple[Row, ...]
    controls: tuple[ControlRow, ...]
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...]
    equal: str
    hardware: Mapping[str, str]
    paper: tuple[PaperNumber, ...]
    paper_source: str
    fine_tuned: bool | None

    def count(self, state: State) -> int:
        """How many measurements are in a state."""
        return sum(each.state is state for each in self.measurements)

    @property
    def failures(self) -> tuple[str, ...]:
        """One sentence for every reason for which measurements failed."""
        reasons: dict[str, list[Measurement]] = {}
        for each in self.measurements:
            if each.state is State.FAILED:
                reasons.setdefault(each.reason, []).append(each)
        return tuple(
            f"{len(found):,} failed, first {found[0].arm} at seed {found[0].seed} on {found[0].task}: "
            f"{reason}"
            for reason, found in reasons.items()
        )


def build_report(
    config: ExperimentConfig,
    plan: Plan,
    tasks: Sequence[ReportedTask],
    results: Mapping[str, CellResult],
    columns: Mapping[Place, CoresetColumns],
    hardware: Mapping[str, str],
    fine_tuned: bool | None,
) -> Report:
    """The report of what there is so far; cells not computed yet are counted as missing.

    Args:
        config: The experiment.
        plan: All its cells, done or not.
        tasks: One for each of the experiment's.
        results: By key of the cell.
        columns: Control columns of the draws, by place.
        hardware: How much was computed on each machine, by its description.
        fine_tuned: Whether the run's model was fine-tuned on a subset before it scored; None without a run.
    """
    measurements = collect(config, plan, tasks, results)
    losses = held_out_losses(config)
    own = ReportedTask(PRETRAINING, "Masked-LM loss of the networks", losses, frozenset(losses))
    shown = (*tasks, own) if losses else tuple(tasks)
    gates = _gates(config, tasks, measurements)
    return Report(
        config=config.to_json(),
        digest=config.digest,
        tasks=shown,
        conclusion=overall(gates),
        gates=gates,
        rows=_rows(config, shown, measurements),
        controls=_controls(config, plan, columns, results),
        measurements=measurements,
        notes=config.warnings + plan.notes + _stand_ins(tasks),
        equal=_equal(config),
        hardware=dict(hardware),
        paper=tuple(each for each in paper_numbers() if each.task in {task.name for task in tasks}),
        paper_source=SOURCE,
        fine_tuned=fine_tuned,
    )


def _rows(
    config: ExperimentConfig, tasks: Sequence[ReportedTask], measurements: Sequence[Measurement]
) -> tuple[Row, ...]:
    found: list[Row] = []
    for task in tasks:
        protocols = [""] if task.name == PRETRAINING else [kind.value for kind in config.protocols]
        for protocol in protocols:
            for metric in task.metrics:
                of_metric = [
                    each
                    for each in measurements
                    if (each.task, each.protocol, each.metric) == (task.name, protocol, metric)
                ]
                lower = metric in task.lower_is_better
                for size in config.sizes:
                    found += block_rows(config, Values(task.name, protocol, metric, lower, size, of_metric))
    return tuple(found)


def _gates(
    config: ExperimentConfig, tasks: Sequence[ReportedTask], measurements: Sequence[Measurement]
) -> tuple[Verdict, ...]:
    untrained = _control(config, ArmKind.UNTRAINED).name
    tenfold = _control(config, ArmKind.RANDOM_TENFOLD).name
    random = config.reference.name
    pairs = (
        (Gate.TRAINED, (random, True), (untrained, False)),
        (Gate.LARGER, (tenfold, True), (random, True)),
    )
    found = []
    for task in tasks:
        metric = task.metrics[0]
        for protocol in config.protocols:
            for size in config.sizes:
                for gate, better, worse in pairs:
                    sides = [
                        values_by_seed(
                            measurements, name, size if sized else 0, task.name, protocol.value, metric
                        )
                        for name, sized in (better, worse)
                    ]
                    named = (task.name, protocol.value, metric, size)
                    lower = metric in task.lower_is_better
                    found.append(judge(gate, named, sides[0], sides[1], config.seeds, lower))
    return tuple(found)


def _control(config: ExperimentConfig, kind: ArmKind) -> Arm:
    """The unrestricted arm of a kind, which the configuration always has."""
    return next(arm for arm in config.all_arms if arm.kind is kind and not arm.sizes)


def _controls(
    config: ExperimentConfig,
    plan: Plan,
    columns: Mapping[Place, CoresetColumns],
    results: Mapping[str, CellResult],
) -> tuple[ControlRow, ...]:
    roles = {arm.name: config.role(arm) for arm in config.all_arms}
    draws: dict[tuple[str, int], list[CoresetColumns]] = {}
    tokens: dict[tuple[str, int], list[int]] = {}
    for place, cell in plan.places().items():
        found = results.get(cell.key)
        if found is not None and not found.failure:
            tokens.setdefault((place.arm, place.size), []).append(found.tokens)
        if place in columns:
            draws.setdefault((place.arm, place.size), []).append(columns[place])
    return tuple(
        ControlRow(
            *(arm, roles[arm], size, average_columns(each)),
            sum(trained) / len(trained) if (trained := tokens.get((arm, size))) else None,
        )
        for (arm, size), each in draws.items()
    )


def _equal(config: ExperimentConfig) -> str:
    settings = config.pretraining
    if settings.budget is Budget.TOKENS:
        return (
            f"Equal between the arms: {settings.amount:,.0f} tokens of training, pads not counted, so that "
            "small coresets are seen more often."
        )
    if settings.budget is Budget.STEPS:
        budget = settings.training_config(0).token_budget
        return (
            f"Equal between the arms: {settings.amount:,.0f} optimiser steps of {budget:,} tokens at most, "
            "pads included, so that small coresets are seen more often. These fill their steps less well; "
            "how many tokens each arm saw stands with what the coresets consist of."
        )
    return (
        f"Equal between the arms: {settings.amount:g} epochs over each arm's own sequences, as in the paper; "
        "larger arms take more steps."
    )


def _stand_ins(tasks: Sequence[ReportedTask]) -> tuple[str, ...]:
    return tuple(f"The data of {task.title} stand in for {task.stand_in}." for task in tasks if task.stand_in)
