"""An experiment whose results are made up, as the page and its downloads find it."""

from pathlib import Path

import numpy as np
from planned_trial import INPUTS, TASKS, configured, make_pool

from bioprune_core.experiments import CoresetColumns, Place, describe_draw, draw, draw_seed, plan_cells
from bioprune_core.laboratory import CellStore, PlannedExperiment
from bioprune_core.tasks import Part
from bioprune_core.workspace import Experiment, Project, Workspace

__all__ = ["planned_trial", "write_experiment", "write_results"]

MACHINE = {
    "device": "cpu",
    "memory_bytes": 24 << 30,
    "platform": "Linux",
    "processor": "A processor",
    "processors": 2,
    "threads": 1,
}


def planned_trial(name: str = "trial", project: str = "rna") -> PlannedExperiment:
    """Two sizes, three seeds, one task, on a pool of 400."""
    config = configured(
        name=name,
        project=project,
        run=None,
        sizes=[10, 20],
        arms=[{"kind": "full"}, {"kind": "strategy", "strategy": "length_stratified", "strata": 4}],
        tasks=[{"name": "rna-type", "folder": "/data/nrc"}],
    )
    pool = make_pool()
    plan = plan_cells(config, pool, INPUTS)
    arms = {arm.name: arm for arm in config.all_arms}
    columns: dict[Place, CoresetColumns] = {}
    for cell in plan.pretrainings:
        place = cell.places[0]
        drawn = draw(arms[place.arm], place.size, pool, draw_seed(config.draw_seed, place.seed))
        columns.update(dict.fromkeys(cell.places, describe_draw(drawn, pool, "source")))
    return PlannedExperiment(config, plan, TASKS, columns, ("Nothing was excluded.",), len(pool.eligible))


def write_experiment(workspace: Workspace, project: Project, *, failed: bool = True) -> Experiment:
    """An experiment of a project with a dataset "pool": every cell has a result but, if so wanted, one."""
    found = planned_trial(project=project.name)
    experiment = workspace.create_experiment(project, found.config.to_json(), Path("/"))
    found.write(workspace.directory(experiment))
    write_results(workspace, found, failed=failed)
    return experiment


def write_results(workspace: Workspace, found: PlannedExperiment, *, failed: bool) -> None:
    """A result of every cell but, if so wanted, one."""
    store, random = CellStore.of(workspace), np.random.default_rng(0)
    better = {"full": 0.2, "random-10x": 0.1, "untrained": -0.2}
    for cell in found.plan.pretrainings:
        evidence = {"seconds": 2.0, "tokens": 1000 * cell.trained, "hardware": MACHINE}
        store.finish(cell.key, {"held_out_loss": 1.3 + random.normal(0, 0.01)}, evidence)
    places = {cell.key: cell.places[0] for cell in found.plan.pretrainings}
    for number, each in enumerate(found.plan.evaluations):
        if failed and not number:
            store.fail(each.key, "The training diverged at step 7 <of 10>.")
            continue
        accuracy = 0.6 + better.get(places[each.pretraining].arm, 0.0) + random.normal(0, 0.005)
        figures = {"accuracy": accuracy, "macro_f1": accuracy - 0.05}
        evidence = {"seconds": 1.0, "truncated": dict.fromkeys(Part, 0), "hardware": MACHINE}
        store.finish(each.key, figures, evidence)
