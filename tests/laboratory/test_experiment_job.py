"""Experiments as jobs and as things of a workspace: planned once, changed without losing results."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from laboratory_trial import config_of
from written_experiment import planned_trial

from bioprune_core.errors import ConflictError, InputError, StageError, StorageError
from bioprune_core.experiments import ExperimentConfig
from bioprune_core.jobs.context import StageContext, record_file
from bioprune_core.laboratory import CellStore, PlannedExperiment, gather, read_planned, status_of
from bioprune_core.laboratory.preparation import Prepared
from bioprune_core.laboratory.running import Outcome
from bioprune_core.laboratory.stages import compute, join, plan
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.storage import write_json
from bioprune_core.workspace import Experiment, ExperimentPlan, State, Workspace
from bioprune_core.workspace.events import EventKind, EventLog
from bioprune_core.workspace.locks import JOB_LOCK, hold


def created(workspace: Workspace, **changes: Any) -> tuple[Experiment, StageContext]:
    config = config_of(**{"seeds": [0], **changes})
    experiment = workspace.create_experiment("lab", config.to_json(), workspace.root.parent)
    return experiment, StageContext(workspace.directory(experiment), discard)


def test_a_plan_is_the_same_after_writing_and_reading() -> None:
    found = planned_trial()
    assert PlannedExperiment.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_stages_plan_and_compute_every_cell(workspace: Workspace) -> None:
    experiment, context = created(workspace, name="whole")
    told = plan(context)
    kept = read_planned(context.directory)
    assert kept is not None
    assert (told["networks"], told["evaluations"]) == (4, 4)
    before = status_of(CellStore.of(workspace), kept)
    assert not before.is_done
    assert before.remaining is not None and before.remaining.pretraining_seconds > 0
    assert sum(number for _, _, number in before.remaining.unmeasured) == 4
    join(context)  # What an idle worker does: everything, if nobody else is there.
    assert compute(context) == {"computed": 0, "cells": 8}
    assert workspace.state(experiment) is State.DONE
    assert workspace.manifest(experiment)["networks"] == 4
    report = gather(CellStore.of(workspace), kept, None)
    assert all(each.value is not None for each in report.measurements)


def test_more_seeds_compute_only_what_is_new(workspace: Workspace) -> None:
    experiment, context = created(workspace, name="growing")
    compute(context)
    longer = config_of(name="growing", seeds=[0, 1])
    workspace.revise_experiment(experiment, longer.to_json(), workspace.root.parent)
    assert workspace.state(experiment) is State.NEW
    assert compute(context)["computed"] == 8
    other = ExperimentConfig.from_json({**longer.to_json(), "dataset": "pool", "run": None})
    with hold(context.directory / JOB_LOCK, "the experiment"), pytest.raises(ConflictError, match="Cancel"):
        workspace.revise_experiment(experiment, other.to_json(), workspace.root.parent)


def test_a_changed_experiment_keeps_its_plan_until_there_is_another(workspace: Workspace) -> None:
    experiment, context = created(workspace, name="changing")
    plan(context)
    write_json(record_file(context.directory, "plan"), {})
    before, base = read_planned(context.directory), workspace.root.parent
    longer = config_of(name="changing", seeds=[0, 1], tasks=[{"name": "gone", "folder": "gone.csv"}])
    workspace.revise_experiment(experiment, longer.to_json(), base)
    assert not record_file(context.directory, "plan").exists()
    with pytest.raises(InputError, match=r"gone\.csv"):
        plan(context)
    assert read_planned(context.directory) == before
    workspace.revise_experiment(experiment, config_of(name="changing", seeds=[0, 1]).to_json(), base)
    plan(context)
    changed = read_planned(context.directory)
    assert changed is not None and changed.config.seeds == (0, 1)
    workspace.delete(experiment)


def test_a_size_that_the_dataset_is_too_small_for_changes_nothing(workspace: Workspace) -> None:
    experiment, context = created(workspace, name="small")
    write_json(context.directory / "manifest.json", {})
    asked, base = dict(workspace.config(experiment)), workspace.root.parent
    with pytest.raises(InputError, match=r"coreset size is 90.*90 sequences.*less than that"):
        workspace.revise_experiment(experiment, config_of(name="small", sizes=[4, 90]).to_json(), base)
    assert workspace.config(experiment) == asked
    assert workspace.state(experiment) is State.DONE
    with pytest.raises(InputError, match="coreset size is 90"):
        workspace.create_experiment("lab", config_of(name="too large", sizes=[90]).to_json(), base)
    workspace.delete(experiment)


def test_a_change_that_is_broken_off_leaves_the_settings_that_the_plan_is_of(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, context = created(workspace, name="broken off")
    plan(context)
    write_json(record_file(context.directory, "plan"), {})

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched, pytest.raises(StorageError):
        patched.setattr(shutil, "rmtree", denied)
        workspace.revise_experiment(experiment, config_of(name="broken off").to_json(), workspace.root.parent)
    kept = read_planned(context.directory)
    asked = ExperimentPlan.from_json(workspace.config(experiment))
    assert kept is not None and kept.config == ExperimentConfig.from_json(asked.settings)
    workspace.delete(experiment)


def test_an_experiment_stays_on_its_dataset_when_that_is_renamed(workspace: Workspace) -> None:
    experiment, context = created(workspace, name="staying")
    dataset = workspace.rename(workspace.dataset("pool"), "the same by another name")
    try:
        assert plan(context)["networks"] == 4
        longer = config_of(name="staying", seeds=[0, 1])
        workspace.revise_experiment(experiment, longer.to_json(), workspace.root.parent)
        assert plan(context)["networks"] == 8
    finally:
        workspace.rename(dataset, "pool")


def test_a_failed_cell_fails_the_job_and_the_others_are_kept(workspace: Workspace) -> None:
    tasks = [{"name": name, "folder": f"{name}.csv"} for name in ("content", "constant")]
    experiment, context = created(workspace, name="failing", tasks=tasks)
    plan(context)
    with pytest.raises(StageError, match=r"4 of 12 cells failed.*nothing to learn"):
        compute(context)
    assert workspace.state(experiment) is not State.DONE
    kept = read_planned(context.directory)
    assert kept is not None
    assert status_of(CellStore.of(workspace), kept).evaluations_done == 4


def test_a_failed_cell_that_another_experiment_tries_again_is_waited_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, context = created(workspace, name="beside", seeds=[99])

    def beside(
        store: CellStore, prepared: Prepared, device: str, report: Reporter, *, retry: bool = False
    ) -> Outcome:
        """The last cell has failed and been forgiven by the other; it is done when it was waited for."""
        cells = [*prepared.plan.pretrainings, *prepared.plan.evaluations]
        for cell in cells[:-1] if retry else cells[-1:]:
            store.finish(cell.key, {}, {"seconds": 1.0})
        return Outcome(computed=7 if retry else 0, failed=int(retry), cells=len(cells))

    monkeypatch.setattr("bioprune_core.laboratory.stages.run_experiment", beside)
    assert compute(context) == {"computed": 7, "cells": 8}
    assert workspace.state(experiment) is State.DONE
    workspace.delete(experiment)  # of more than five experiments on a dataset not all are named


def test_what_failed_is_not_tried_again_when_something_ended_the_stage(workspace: Workspace) -> None:
    tasks = [{"name": name, "folder": f"{name}.csv"} for name in ("content", "constant")]
    experiment, context = created(workspace, name="restarted", tasks=tasks, seeds=[7])
    store, log = CellStore.of(workspace), EventLog(context.directory)

    def failed_at() -> list[int]:
        kept = read_planned(context.directory)
        assert kept is not None
        paths = [store.folder(key) / "failure.json" for key in status_of(store, kept).failed]
        return sorted(path.stat().st_mtime_ns for path in paths)

    plan(context)
    times = []
    for kinds in ([EventKind.STARTED], [EventKind.STAGE_RESTARTED], [EventKind.STARTED]):
        for kind in [*kinds, EventKind.STAGE_STARTED]:
            log.write(kind, "cells")
        with pytest.raises(StageError, match="nothing to learn"):
            compute(context)
        times.append(failed_at())
        log.report(Progress("cells", 1, 12, "cells"))
    assert len(times[0]) == 4
    assert times[0] == times[1]
    assert times[1][-1] < times[2][0]
    workspace.delete(experiment)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_leaves_is_no_fault_of_the_cell_at_hand(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    experiment, context = created(workspace, name=f"left by {number}", seeds=[100 + number])
    plan(context)

    def ended(*_: object) -> None:
        os.kill(os.getpid(), number)
        signal.pause()

    monkeypatch.setattr("bioprune_core.laboratory.running.compute_pretraining", ended)
    process = multiprocessing.get_context("fork").Process(target=compute, args=(context,))
    process.start()
    process.join(60)
    assert process.exitcode == -number
    left = list(CellStore.of(workspace).root.rglob("begun.json"))
    for path in left:
        path.unlink()
    assert len(left) == (number == signal.SIGKILL)
    workspace.delete(experiment)


def test_a_dataset_under_an_experiment_is_not_deleted(workspace: Workspace) -> None:
    experiment, _ = created(workspace, name="needing")
    with pytest.raises(ConflictError, match='experiment "needing"'):
        workspace.delete(workspace.dataset("pool"))
    folder = workspace.directory(experiment)
    workspace.delete(experiment)
    assert not folder.exists()
    assert "needing" not in {each.name for each in workspace.experiments("lab")}


def test_the_commands_plan_once_and_go_by_the_file(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from bioprune_core.cli import app, experiments

    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(workspace.root))
    settings = config_of(name="by command", seeds=[0]).to_json()
    settings["tasks"][0]["folder"] = str(workspace.root.parent / "content.csv")
    path = tmp_path / "experiment.json"
    path.write_text(json.dumps(settings))

    def told(*arguments: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["experiment", *arguments, str(path), "--json"])
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    assert told("run", "--device", "cpu")["cells"] == 8
    assert workspace.state(workspace.experiment("by command")) is State.DONE
    with monkeypatch.context() as patched:
        patched.setattr(experiments, "prepare", None)
        assert told("status")["evaluations_done"] == 4
        assert told("report")["config"]["name"] == "by command"
    path.write_text(json.dumps(settings | {"seeds": [0, 1]}))
    assert told("status")["evaluations"] == 8
    # Changed, and not planned anew yet.
    base = path.parent
    workspace.revise_experiment(workspace.experiment("by command"), settings | {"seeds": [0, 1]}, base)
    assert told("status")["evaluations"] == 8
    assert told("run", "--device", "cpu")["cells"] == 16


def test_a_plan_of_an_older_version_gives_way_to_that_of_the_cells_computed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, context = created(workspace, name="older")
    with monkeypatch.context() as before:
        before.setattr("bioprune_core.experiments.cells.PROBE_VERSION", -1)
        plan(context)
    compute(context)
    kept = read_planned(context.directory)
    assert kept is not None
    assert status_of(CellStore.of(workspace), kept).is_done
    assert workspace.state(experiment) is State.DONE
