"""The command that carries an experiment out here and now."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from laboratory_trial import config_of

from bioprune_core.cli import main
from bioprune_core.jobs.child import STAGE_ENVIRONMENT
from bioprune_core.laboratory import CellStore
from bioprune_core.workspace import ExperimentPlan, State, Workspace


def run(monkeypatch: pytest.MonkeyPatch, workspace: Workspace, path: Path, *options: str) -> int:
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(workspace.root))
    monkeypatch.setattr("sys.argv", ["bioprune", "experiment", "run", str(path), *options, "--json"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert isinstance(ending.value.code, int)
    return ending.value.code


def test_the_command_ends_with_a_code_of_its_own_where_cells_failed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table "constant" has nothing to learn; the networks and the other measurements are there."""
    for name in STAGE_ENVIRONMENT:
        monkeypatch.setenv(name, "")  # so that what the command sets is undone at the end
        monkeypatch.delenv(name)
    tasks = [{"name": name, "folder": f"{name}.csv"} for name in ("content", "constant")]
    path = workspace.root.parent / "experiment.json"
    for chosen, code, failed in ((tasks, 6, 4), (tasks[:1], 0, 0)):
        path.write_text(json.dumps(config_of(name="by command", tasks=chosen, seeds=[0]).to_json()))
        assert run(monkeypatch, workspace, path) == code
        assert json.loads(capsys.readouterr().out)["failed"] == failed
    assert {name: os.environ.get(name) for name in STAGE_ENVIRONMENT} == STAGE_ENVIRONMENT
    assert workspace.state(workspace.experiment("by command", "lab")) is State.DONE


@pytest.mark.faults
def test_a_command_that_is_asked_to_leave_is_no_fault_of_the_cell_at_hand(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    monkeypatch.setattr("bioprune_core.laboratory.running.compute_pretraining", left)
    path = workspace.root.parent / "experiment.json"
    path.write_text(json.dumps(config_of(name="left", seeds=[200]).to_json()))
    process = multiprocessing.get_context("fork").Process(target=run, args=(monkeypatch, workspace, path))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGTERM
    assert not list(CellStore.of(workspace).root.rglob("begun.json"))


def test_what_cannot_be_computed_is_not_noted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workspace.root.parent / "experiment.json"
    for tasks, options, code, said in (
        ("content.csv", ("--device", "gpu"), 2, "Choose auto, cpu, cuda"),
        ("content.csv", ("--device", "gpu", "--queue"), 2, "Choose auto, cpu, cuda"),
        ("absent.csv", (), 3, "absent.csv"),
    ):
        config = config_of(name="wrong", tasks=[{"name": "content", "folder": tasks}])
        path.write_text(json.dumps(config.to_json()))
        assert run(monkeypatch, workspace, path, *options) == code
        assert said in json.loads(capsys.readouterr().err)["error"]
    assert "wrong" not in [experiment.name for experiment in workspace.experiments()]


def test_a_worker_computes_on_the_device_that_was_asked_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace.root.parent / "experiment.json"
    path.write_text(json.dumps(config_of(name="queued").to_json()))
    for device in ("cuda:1", "cpu"):
        assert run(monkeypatch, workspace, path, "--queue", "--device", device) == 0
        plan = ExperimentPlan.from_json(workspace.config(workspace.experiment("queued", "lab")))
        assert plan.device == device
