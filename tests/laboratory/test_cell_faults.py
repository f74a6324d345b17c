"""A cell that fails, or is killed, costs no more than itself."""

import math
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laboratory_trial import TRAINING, config_of, store_at
from safetensors import SafetensorError

from bioprune_core.experiments import PretrainingCell
from bioprune_core.laboratory import (
    CellStore,
    Prepared,
    computing,
    gather,
    planned,
    prepare,
    run_experiment,
    running,
    status_of,
)
from bioprune_core.models import saved
from bioprune_core.progress import Progress, discard
from bioprune_core.training.history import CHECKPOINT
from bioprune_core.workspace import Workspace


def test_a_cell_that_fails_stops_no_other_and_can_be_tried_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    store, base = store_at(tmp_path), workspace.root.parent
    tasks = [{"name": name, "folder": f"{name}.csv"} for name in ("content", "constant")]
    prepared = prepare(workspace, config_of(tasks=tasks, seeds=[0]), base)
    first = run_experiment(store, prepared, "cpu")
    found = status_of(store, planned(prepared))
    assert (first.failed, len(found.failed)) == (4, 4)
    assert found.evaluations_done == 4
    report = gather(store, planned(prepared), None)
    assert any("nothing to learn" in sentence for sentence in report.failures)
    assert run_experiment(store, prepared, "cpu").failed == 0
    assert run_experiment(store, prepared, "cpu", retry=True).failed == 4


def test_a_diverging_network_is_reported_and_not_averaged_in(workspace: Workspace, tmp_path: Path) -> None:
    store = store_at(tmp_path)
    pretraining = {
        "architecture": "rna-fm",
        "scale": "tiny",
        "budget": "equal-steps",
        "amount": 6,
        "training": TRAINING | {"learning_rate": 1e30, "gradient_clip": 1e30, "warmup_fraction": 0.0},
    }
    prepared = prepare(workspace, config_of(pretraining=pretraining, seeds=[0]), workspace.root.parent)
    run_experiment(store, prepared, "cpu")
    found = status_of(store, planned(prepared))
    assert found.networks_done == 1  # the untrained one
    assert found.is_done
    assert all("diverged" in reason for reason in found.failed.values())


def test_a_full_disk_fails_the_cell_that_it_meets_and_no_other(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    unlucky = next(cell for cell in prepared.plan.pretrainings if cell.trained)
    behind = [cell.key for cell in prepared.plan.evaluations if cell.pretraining == unlucky.key]
    written = saved.safetensors.torch.save_file

    def save(tensors: dict[str, torch.Tensor], path: Path) -> None:
        written(tensors, path)
        if unlucky.key in path.parts:
            path.write_bytes(path.read_bytes()[:1000])
            raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(saved.safetensors.torch, "save_file", save)
        outcome = run_experiment(store, prepared, "cpu")
    folder = store.folder(unlucky.key)
    assert (outcome.computed, outcome.failed, outcome.cells) == (6, 1, 8)
    # No checkpoint, no network, nothing half-written.
    assert {path.name for path in folder.iterdir()} == {".lock", "failure.json", "training.json"}
    found = status_of(store, planned(prepared))
    assert set(found.failed) == {unlucky.key, *behind}
    for reason in found.failed.values():
        assert re.search(r"No space left on the disk that holds .*checkpoint.*Free some space", reason)
    assert not any(store.is_done(key) for key in found.failed)
    assert any("No space left" in sentence for sentence in gather(store, planned(prepared), None).failures)

    again = run_experiment(store, prepared, "cpu", retry=True)
    assert (again.computed, again.failed) == (2, 0)
    assert not status_of(store, planned(prepared)).failed
    assert status_of(store, planned(prepared)).is_done


@contextmanager
def ended_by_the_first(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, end: Callable[[], None]
) -> Iterator[PretrainingCell]:
    """The first network to train, which ends in the block as `end` does; all others are trained."""
    unlucky = next(cell for cell in prepared.plan.pretrainings if cell.trained)
    computed = running.compute_pretraining

    def compute(prepared: Prepared, cell: PretrainingCell, *others: Any) -> Any:
        if cell.key == unlucky.key:
            end()
        return computed(prepared, cell, *others)

    with monkeypatch.context() as patched:
        patched.setattr(running, "compute_pretraining", compute)
        yield unlucky


def test_an_error_that_nobody_foresaw_fails_its_cell_alone(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)

    def fail() -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    with ended_by_the_first(prepared, monkeypatch, fail) as unlucky:
        outcome = run_experiment(store, prepared, "cpu")
    assert (outcome.computed, outcome.failed, outcome.cells) == (6, 1, 8)
    assert "not enough memory" in status_of(store, planned(prepared)).failed[unlucky.key]
    assert run_experiment(store, prepared, "cpu", retry=True).computed == 2


def test_a_figure_that_is_no_number_fails_its_cell_alone(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    unlucky = next(cell for cell in prepared.plan.pretrainings if cell.trained)
    computed = running.compute_pretraining

    def compute(prepared: Prepared, cell: PretrainingCell, *others: Any) -> Any:
        metrics, evidence = computed(prepared, cell, *others)
        return (dict.fromkeys(metrics, math.nan) if cell.key == unlucky.key else metrics), evidence

    with monkeypatch.context() as patched:
        patched.setattr(running, "compute_pretraining", compute)
        outcome = run_experiment(store, prepared, "cpu")
    assert (outcome.computed, outcome.failed, outcome.cells) == (6, 1, 8)
    assert "held_out_loss is nan" in status_of(store, planned(prepared)).failed[unlucky.key]
    assert run_experiment(store, prepared, "cpu", retry=True).computed == 2


def test_a_device_that_fails_fails_its_cell_and_ends_the_process(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing computes on it any more in this process; the next one goes past the cell."""
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)

    def compute(*_: Any) -> Any:
        raise torch.AcceleratorError("CUDA error: an illegal memory access\nmore")

    with monkeypatch.context() as patched:
        patched.setattr(running, "compute_pretraining", compute)
        with pytest.raises(torch.AcceleratorError):
            run_experiment(store, prepared, "cpu")
    (reason,) = {*status_of(store, planned(prepared)).failed.values()}
    assert reason == "The device failed (CUDA error: an illegal memory access)."
    assert run_experiment(store, prepared, "cpu").failed == 0


def run_alone(store: CellStore, prepared: Prepared) -> None:
    """An experiment in a process of its own."""
    torch.set_num_threads(1)  # threads are not forked
    run_experiment(store, prepared, "cpu")


def run_and_tell(store: CellStore, prepared: Prepared, told: Connection) -> None:
    """The same, telling its progress."""
    torch.set_num_threads(1)
    run_experiment(store, prepared, "cpu", lambda progress: told.send((progress.stage, progress.done)))


@pytest.mark.faults
def test_a_process_that_is_killed_costs_nothing_but_time(workspace: Workspace, tmp_path: Path) -> None:
    """Killed in the middle of a training; the rest is done here, with the figures of an undisturbed one."""
    longer = {**config_of().to_json()["pretraining"], "amount": 12}
    config = config_of(pretraining=longer, seeds=[0])
    prepared = prepare(workspace, config, workspace.root.parent)
    whole, killed = store_at(tmp_path / "whole"), store_at(tmp_path / "killed")
    run_experiment(whole, prepared, "cpu")
    told, telling = multiprocessing.Pipe(duplex=False)
    # Loading torch anew takes longer than the experiment.
    process = multiprocessing.get_context("fork").Process(
        target=run_and_tell, args=(killed, prepared, telling)
    )
    process.start()
    while told.recv() != ("train", 5):
        pass
    process.kill()
    process.join()
    assert not status_of(killed, planned(prepared)).is_done
    stages: list[Progress] = []
    run_experiment(killed, prepared, "cpu", stages.append)
    keys = [cell.key for cell in prepared.plan.pretrainings]
    for key in keys:
        np.testing.assert_allclose(
            list(killed.results(keys)[key].metrics.values()), list(whole.results(keys)[key].metrics.values())
        )
    assert not killed.is_running(keys[0])


@pytest.mark.faults
def test_a_cell_that_ends_one_process_after_the_other_fails_and_stops_no_other(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    # As the kernel ends it where memory has run out.
    with ended_by_the_first(prepared, monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL)) as unlucky:
        for _ in range(3):
            process = multiprocessing.get_context("fork").Process(target=run_alone, args=(store, prepared))
            process.start()
            process.join()
            assert process.exitcode == -signal.SIGKILL
        assert run_experiment(store, prepared, "cpu").failed == 1
    found = status_of(store, planned(prepared))
    assert found.is_done
    assert re.match("Something ended 3 processes .* out of memory", found.failed[unlucky.key])
    assert len(found.failed) == 2  # with its measurement
    assert run_experiment(store, prepared, "cpu", retry=True).computed == 2
    assert not (store.folder(unlucky.key) / "begun.json").exists()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_training(progress: Progress) -> None:
    if progress.stage == "train":
        kill()


@pytest.mark.faults
@pytest.mark.parametrize("where", ["step", "checkpoint", "measurement"])
def test_a_cell_that_is_killed_at_the_same_place_again_and_again_fails(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    written = saved.safetensors.torch.save_file

    def save(tensors: dict[str, torch.Tensor], path: Path) -> None:
        written(tensors, path)
        if path.name == CHECKPOINT:
            kill()

    def run() -> None:
        torch.set_num_threads(1)  # threads are not forked
        run_experiment(store, prepared, "cpu", kill_while_training if where == "step" else discard)

    if where == "checkpoint":
        monkeypatch.setattr(saved.safetensors.torch, "save_file", save)
    elif where == "measurement":
        monkeypatch.setattr(computing, "_held_out_losses", lambda *_: kill())
    failed = []
    for _ in range(4):
        process = multiprocessing.get_context("fork").Process(target=run)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        failed.append([cell for cell in prepared.plan.pretrainings if store.is_failed(cell.key)])
    # The fourth goes past it, and ends at the next one.
    assert [len(each) for each in failed] == [0, 0, 0, 1]
    assert failed[-1][0].trained == (where != "measurement")


@pytest.mark.faults
def test_ends_between_which_a_training_gets_further_are_no_fault_of_it(tmp_path: Path) -> None:
    """A machine may be taken away again and again; what counts is ends at the same place."""
    store, key = store_at(tmp_path), "cd" * 32

    def killed(step: int) -> None:
        with store.claimed(key) as folder, store.begun(key):
            (folder / CHECKPOINT).write_text(str(step))
            os.kill(os.getpid(), signal.SIGKILL)

    def seen() -> int:
        with store.claimed(key), store.begun(key) as ended:
            return ended

    for step in range(5):
        process = multiprocessing.get_context("fork").Process(target=killed, args=(step,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert seen() == 0
