"""An experiment's plan on disk: all that its state and its report need, beside the cells' results.

Preparing an experiment reads the pool and every task and looks for near-identical sequences. That is done
once; whoever only wants to look reads this.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bioprune_core.evaluation import Method
from bioprune_core.experiments import (
    CoresetColumns,
    EvaluationCell,
    ExperimentConfig,
    Place,
    Plan,
    PretrainingCell,
    ReportedTask,
    describe_draw,
    draw,
    draw_seed,
)
from bioprune_core.experiments.draws import Drawn
from bioprune_core.laboratory.preparation import Prepared
from bioprune_core.storage import read_json, write_json
from bioprune_core.tasks import LOWER_IS_BETTER
from bioprune_core.workspace.experiments import PLAN_FILE

__all__ = ["PlannedExperiment", "planned", "read_planned"]


@dataclass(frozen=True, slots=True)
class PlannedExperiment:
    """What an experiment consists of.

    Args:
        config: What was asked for.
        plan: All cells.
        tasks: What networks are measured on.
        columns: Control columns of the draw of every place.
        notes: Sentences on what was excluded.
        eligible: Sequences that may be drawn: what the full pool is.
        seconds_a_token: Of pretraining, measured on a few steps; None where it was not.
    """

    config: ExperimentConfig
    plan: Plan
    tasks: tuple[ReportedTask, ...]
    columns: Mapping[Place, CoresetColumns]
    notes: tuple[str, ...]
    eligible: int
    seconds_a_token: float | None = None

    def write(self, folder: Path) -> None:
        """Write it into an experiment's folder."""
        write_json(folder / PLAN_FILE, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As a JSON object. Control columns stand with the first place of their network."""
        return {
            "config": self.config.to_json(),
            "pretrainings": [
                asdict(cell) | {"columns": self.columns[cell.places[0]].to_json()}
                for cell in self.plan.pretrainings
            ],
            "evaluations": [asdict(cell) for cell in self.plan.evaluations],
            "plan_notes": list(self.plan.notes),
            "tasks": [
                asdict(task) | {"lower_is_better": sorted(task.lower_is_better)} for task in self.tasks
            ],
            "notes": list(self.notes),
            "eligible": self.eligible,
            "seconds_a_token": self.seconds_a_token,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PlannedExperiment":
        """The inverse of `to_json`."""
        columns = {}
        networks = []
        for each in value["pretrainings"]:
            places = tuple(Place(**place) for place in each["places"])
            drawn = Drawn(**each["drawn"])
            networks.append(PretrainingCell(each["key"], places, each["trained"], drawn, each["tokens"]))
            columns.update(dict.fromkeys(places, CoresetColumns(**each["columns"])))
        evaluations = tuple(
            EvaluationCell(**each | {"protocol": Method(each["protocol"])}) for each in value["evaluations"]
        )
        return cls(
            ExperimentConfig.from_json(value["config"]),
            Plan(tuple(networks), evaluations, tuple(value["plan_notes"])),
            tuple(_task(each) for each in value["tasks"]),
            columns,
            tuple(value["notes"]),
            value["eligible"],
            value.get("seconds_a_token"),
        )


def planned(prepared: Prepared) -> PlannedExperiment:
    """What is kept of a prepared experiment."""
    return PlannedExperiment(
        prepared.config,
        prepared.plan,
        tuple(
            ReportedTask(name, data.task.title, data.task.metrics, LOWER_IS_BETTER, data.task.stand_in)
            for name, data in prepared.tasks.items()
        ),
        _columns(prepared),
        prepared.notes,
        len(prepared.arrays.eligible),
    )


def read_planned(folder: Path) -> PlannedExperiment | None:
    """The plan in an experiment's folder; None before it was made."""
    path = folder / PLAN_FILE
    return PlannedExperiment.from_json(read_json(path)) if path.is_file() else None


def _columns(prepared: Prepared) -> dict[Place, CoresetColumns]:
    """Control columns of every draw; draws of one network are one."""
    config = prepared.config
    arms = {arm.name: arm for arm in config.all_arms}
    found = {}
    for cell in prepared.plan.pretrainings:
        place = cell.places[0]
        seed = draw_seed(config.draw_seed, place.seed)
        positions = draw(arms[place.arm], place.size, prepared.arrays, seed)
        columns = describe_draw(positions, prepared.arrays, config.mixtures[0])
        found.update(dict.fromkeys(cell.places, columns))
    return found


def _task(value: Mapping[str, Any]) -> ReportedTask:
    return ReportedTask(
        value["name"],
        value["title"],
        tuple(value["metrics"]),
        frozenset(value["lower_is_better"]),
        value["stand_in"],
    )
