"""Experiments on a pool of 90 short sequences: every cell once, whatever is killed or added."""

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
from laboratory_trial import SEQUENCES, TRAINING, config_of
from safetensors import SafetensorError

from bioprune_core.errors import ConflictError, InputError
from bioprune_core.experiments import PretrainingCell
from bioprune_core.laboratory import (
    CellStore,
    Prepared,
    gather,
    planned,
    prepare,
    run_experiment,
    running,
    status_of,
)
from bioprune_core.models import saved
from bioprune_core.progress import Progress
from bioprune_core.storage import write_json
from bioprune_core.tasks import Part
from bioprune_core.workspace import Workspace


def store_at(path: Path) -> CellStore:
    return CellStore(path / "cells")


def test_every_cell_is_computed_once_and_reported(workspace: Workspace, tmp_path: Path) -> None:
    store, base = store_at(tmp_path), workspace.root.parent
    prepared = prepare(workspace, config_of(), base)
    assert status_of(store, planned(prepared)).remaining is None
    outcome = run_experiment(store, prepared, "cpu")
    # full, random, random-10x and untrained, two seeds each, trained and measured.
    assert (outcome.computed, outcome.failed, outcome.cells) == (16, 0, 16)
    found = status_of(store, planned(prepared))
    assert found.is_done
    assert found.remaining is not None
    assert found.remaining.seconds == 0
    report = gather(store, planned(prepared), None)
    assert report.conclusion
    values = {(row.arm, row.seed, row.metric): row.value for row in report.measurements}
    assert all(value is not None for value in values.values())
    assert values["untrained", 0, "held_out_loss"] != values["full", 0, "held_out_loss"]
    assert {metric for _, _, metric in values} >= {"spearman", "mse", "held_out_family_mean_loss"}
    assert any("are test sequences and excluded" in note for note in report.notes)
    # After three steps; the untrained ones are not counted.
    assert any("6 of 6 trained networks learned letter frequencies only" in note for note in report.notes)
    assert not any("longer than the networks take" in note for note in report.notes)
    assert run_experiment(store, prepared, "cpu").computed == 0

    more = prepare(workspace, config_of(seeds=[0, 1, 2], name="another"), base)
    assert run_experiment(store, more, "cpu").computed == 8


def test_test_examples_that_were_cut_are_told_once_a_task(workspace: Workspace, tmp_path: Path) -> None:
    store = store_at(tmp_path)
    experiment = planned(prepare(workspace, config_of(), workspace.root.parent))
    for cell, cut in zip(experiment.plan.evaluations, [2, 3], strict=False):
        hardware = {"device": "cpu", "processor": "x", "processors": 2, "threads": 1, "platform": "y"}
        evidence = {"truncated": {"train": 9, "test": cut}, "hardware": hardware | {"memory_bytes": 1}}
        store.finish(cell.key, {"spearman": 0.5}, evidence)
    told = [note for note in gather(store, experiment, None).notes if "longer than the networks take" in note]
    assert len(told) == 1
    assert "3 test examples" in told[0]


def test_what_is_held_out_or_tested_is_never_trained_on(workspace: Workspace) -> None:
    prepared = prepare(workspace, config_of(), workspace.root.parent)
    eligible = set(prepared.arrays.eligible.tolist())
    assert not eligible & set(np.flatnonzero(prepared.held_out.mask).tolist())
    block = prepared.sequences.read(0, len(prepared.sequences))
    drawable = {block.sequence(row) for row in eligible}
    assert not drawable & set(prepared.tasks["content"].parts[Part.TEST].sequences)
    near = prepare(workspace, config_of(near_identity=0.5, mixtures=["cluster"]), workspace.root.parent)
    assert len(near.arrays.eligible) <= len(eligible)
    assert near.arrays.groups["cluster"].shape == (len(SEQUENCES),)


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


def test_networks_of_different_number_formats_are_told(workspace: Workspace, tmp_path: Path) -> None:
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    run_experiment(store, prepared, "cpu")
    experiment = planned(prepared)
    assert not any("number formats" in note for note in gather(store, experiment, None).notes)
    trained = next(cell for cell in prepared.plan.pretrainings if cell.trained)
    kept = dict(store.evidence(trained.key))
    assert kept["precision"] == "float32"
    store.finish(trained.key, kept.pop("metrics"), kept | {"precision": "bf16"})
    told = [note for note in gather(store, experiment, None).notes if "number formats" in note]
    assert len(told) == 1
    assert "2 in float32 and 1 in bf16" in told[0]


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


def test_what_another_version_has_begun_is_not_waited_for(workspace: Workspace, tmp_path: Path) -> None:
    """Its training has settings that no cell of today gives; it fails in words, and a retry begins anew."""
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    begun = next(cell for cell in prepared.plan.pretrainings if cell.trained)
    write_json(store.folder(begun.key) / "training.json", {"model": "", "sequences": "", "config": {}})
    assert run_experiment(store, prepared, "cpu").failed == 1
    assert "begun under other settings" in status_of(store, planned(prepared)).failed[begun.key]
    assert run_experiment(store, prepared, "cpu", retry=True).failed == 0
    assert status_of(store, planned(prepared)).is_done


def test_progress_is_told_with_every_cell(workspace: Workspace, tmp_path: Path) -> None:
    told: list[Progress] = []
    prepared = prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    run_experiment(store_at(tmp_path), prepared, "cpu", told.append)
    cells = [(each.done, each.total) for each in told if each.unit == "cells"]
    assert cells == [(done, 8) for done in range(1, 9)]


def test_a_cell_of_another_process_is_waited_for(workspace: Workspace, tmp_path: Path) -> None:
    store = store_at(tmp_path)
    key = "ab" * 32
    with store.claimed(key):
        assert store.is_running(key)
        with pytest.raises(ConflictError), store.claimed(key):
            pass
    assert not store.is_running(key)


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


@pytest.mark.faults
def test_ends_between_which_a_training_gets_further_are_no_fault_of_it(tmp_path: Path) -> None:
    """A machine may be taken away again and again; what counts is ends at the same place."""
    store, key = store_at(tmp_path), "cd" * 32

    def killed(step: int) -> None:
        with store.claimed(key) as folder, store.begun(key):
            (folder / "checkpoint.pt").write_text(str(step))
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


def test_a_task_of_another_alphabet_or_a_missing_file_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*none\. Correct its `folder`"):
        prepare(workspace, config_of(tasks=[{"name": "rna-type", "folder": "none"}]), tmp_path)
    rows = "\n".join(f"MKVLW{'A' * number},{number % 2}" for number in range(1, 40))
    (tmp_path / "data.csv").write_text(f"sequence,label\n{rows}\n")
    tasks = [{"name": "localisation", "folder": "."}]
    with pytest.raises(InputError, match="has protein, the dataset rna"):
        prepare(workspace, config_of(tasks=tasks), tmp_path)


def test_near_duplicates_are_looked_for_unless_the_pool_is_huge(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of()
    assert config.near_identity is None and "cluster" not in config.groupings
    prepared = prepare(workspace, config, workspace.root.parent)
    assert prepared.arrays.groups["cluster"].shape == (len(prepared.sequences),)
    monkeypatch.setattr("bioprune_core.laboratory.preparation._COMPARED", 10)
    huge = prepare(workspace, config, workspace.root.parent)
    assert "cluster" not in huge.arrays.groups
    assert any("near-duplicates each arm has is not told" in note for note in huge.notes)
    assert huge.arrays.near_tests is None
    assert any("near-identical to a test sequence is not told" in note for note in huge.notes)
    asked = prepare(workspace, config_of(near_identity=0.5), workspace.root.parent)
    assert "cluster" in asked.arrays.groups
    assert asked.arrays.near_tests is not None
