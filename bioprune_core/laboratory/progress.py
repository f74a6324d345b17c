"""How far an experiment is, what is left will take, and its report so far. Imports no torch."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bioprune_core.evaluation import Method
from bioprune_core.experiments import (
    ExperimentConfig,
    MeasuredSeconds,
    Plan,
    PlanCost,
    Report,
    build_report,
    plan_cost,
)
from bioprune_core.laboratory.plan_file import PlannedExperiment
from bioprune_core.laboratory.store import CellStore
from bioprune_core.tasks import Part
from bioprune_core.training import TrainingConfig
from bioprune_core.workspace import Experiment, RunConfig, Workspace

__all__ = ["ExperimentStatus", "gather", "status_of", "was_fine_tuned"]


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    """Where an experiment stands.

    Args:
        networks: To train or to take untrained.
        networks_done: That have a result.
        evaluations: Measurements of networks on tasks.
        evaluations_done: That have a result.
        failed: Reason of each failed cell by its key.
        running: Cells that some process computes now.
        remaining: What is left will take; None where no speed was measured yet.
    """

    networks: int
    networks_done: int
    evaluations: int
    evaluations_done: int
    failed: dict[str, str]
    running: int
    remaining: PlanCost | None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to compute."""
        missing = self.networks + self.evaluations - self.networks_done - self.evaluations_done
        return missing == len(self.failed)


def status_of(store: CellStore, experiment: PlannedExperiment) -> ExperimentStatus:
    """The state of every cell, counted; evaluations of a failed network count as failed."""
    plan = experiment.plan
    networks = [cell.key for cell in plan.pretrainings]
    evaluations = [cell.key for cell in plan.evaluations]
    results = store.results([*networks, *evaluations])
    failed = {key: result.failure for key, result in results.items() if result.failure}
    for cell in plan.evaluations:
        if cell.pretraining in failed and cell.key not in results:
            failed[cell.key] = failed[cell.pretraining]
    done = {key for key, result in results.items() if not result.failure}
    left = plan.remaining(done | set(failed))
    return ExperimentStatus(
        len(networks),
        sum(key in done for key in networks),
        len(evaluations),
        sum(key in done for key in evaluations),
        failed,
        sum(store.is_running(key) for key in [*networks, *evaluations] if key not in done),
        _cost(store, experiment, done, left),
    )


def was_fine_tuned(workspace: Workspace, config: ExperimentConfig, record: Experiment | None) -> bool | None:
    """Whether the model of an experiment's run was fine-tuned before it scored; None without a run.

    Args:
        workspace: Where its project is.
        config: The experiment.
        record: As the workspace knows it: its run may have got another name since. None to go by the names of
            the configuration.

    Raises:
        NotFoundError: There is no such project or run.
    """
    if config.run is None:
        return None
    project = workspace.project(config.project if record is None else record.project_id)
    run = workspace.run(config.run if record is None or record.run_id is None else record.run_id, project)
    tuning = TrainingConfig.from_json(RunConfig.from_json(workspace.config(run)).training)
    return tuning.steps is not None or tuning.tokens is not None or tuning.epochs > 0


def gather(store: CellStore, experiment: PlannedExperiment, fine_tuned: bool | None) -> Report:
    """The report of what there is so far.

    Args:
        store: Where the cells are.
        experiment: Its plan.
        fine_tuned: `was_fine_tuned`.
    """
    plan = experiment.plan
    keys = [*(cell.key for cell in plan.pretrainings), *(cell.key for cell in plan.evaluations)]
    evidence = {key: store.evidence(key) for key in keys if store.is_done(key)}
    machines = Counter(_described(each["hardware"]) for each in evidence.values())
    hardware = {machine: f"{count:,} of {len(keys):,} cells" for machine, count in machines.most_common()}
    report = build_report(
        experiment.config,
        plan,
        experiment.tasks,
        store.results(keys),
        experiment.columns,
        hardware,
        fine_tuned,
    )
    trained = [evidence[cell.key] for cell in plan.pretrainings if cell.trained and cell.key in evidence]
    found = _formats(trained) + _only_letters(trained) + _cut(evidence, experiment)
    return replace(report, notes=report.notes + experiment.notes + found)


def _formats(trained: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """That networks were trained in different number formats, in a sentence; none where all are alike."""
    # Cells of older versions do not say.
    formats = Counter(found for each in trained if (found := each.get("precision")))
    if len(formats) < 2:
        return ()
    counts = " and ".join(f"{count:,} in {name}" for name, count in formats.most_common())
    return (
        f"The networks were trained in different number formats ({counts}), because the precision auto is "
        "bf16 on GPUs alone. Differences between arms may come of that: set one `precision` in `training` to "
        "compute all of them alike.",
    )


def _only_letters(trained: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """How many networks learned next to nothing, in a sentence; none where all did better."""
    # Cells of older versions do not say.
    poor = sum(bool(each.get("knows_only_letters")) for each in trained)
    if not poor:
        return ()
    return (
        f"{poor:,} of {len(trained):,} trained networks learned no more than letter frequencies: their loss "
        "on held-out sequences is no better than knowing how often each letter occurs. The means include "
        "them.",
    )


def _cut(evidence: Mapping[str, Mapping[str, Any]], experiment: PlannedExperiment) -> tuple[str, ...]:
    """Which tasks score what is left of sequences beyond the networks' limit, in a sentence each."""
    titles = {task.name: task.title for task in experiment.tasks}
    most: Counter[str] = Counter()
    for cell in experiment.plan.evaluations:
        if cell.key in evidence:
            count = evidence[cell.key]["truncated"][Part.TEST]
            most[cell.task] = max(most[cell.task], count)
    return tuple(
        f"{titles[task]}: {count:,} test {'example is' if count == 1 else 'examples are'} longer than the "
        "networks take and scored without what lies beyond, so the figures are not those of whole sequences."
        for task, count in most.items()
        if count
    )


def _cost(store: CellStore, experiment: PlannedExperiment, done: set[str], left: Plan) -> PlanCost | None:
    """From the seconds of the cells that are done, and before any is from those of a few steps."""
    plan = experiment.plan
    cells = [cell for cell in plan.pretrainings if cell.trained and cell.key in done]
    trained = [store.evidence(cell.key) for cell in cells]
    tokens = sum(cell.tokens for cell in cells)
    # By the tokens of the plan, which those to come are counted in: with pads where steps are equal.
    per_token = sum(found["seconds"] for found in trained) / tokens if tokens else experiment.seconds_a_token
    if per_token is None:
        return None
    seconds: dict[tuple[str, Method], list[float]] = defaultdict(list)
    for cell in plan.evaluations:
        if cell.key in done:
            seconds[cell.task, cell.protocol].append(max(store.evidence(cell.key)["seconds"], 1e-3))
    measured = MeasuredSeconds(per_token, {kind: float(np.mean(values)) for kind, values in seconds.items()})
    return plan_cost(left, measured)


def _described(hardware: Mapping[str, Any]) -> str:
    """A machine in a line, by all that tells it from others."""
    memory = f"{hardware['memory_bytes'] / 1e9:.0f} GB"
    gpu = hardware.get("gpu")
    device = f"{gpu} ({hardware['gpu_memory_bytes'] / 1e9:.0f} GB)" if gpu else hardware["device"]
    processor = f"{hardware['processor']}, {hardware['processors']} cores, {hardware['threads']} threads"
    return f"{device} of {processor}, {memory}, {hardware['platform']}"
