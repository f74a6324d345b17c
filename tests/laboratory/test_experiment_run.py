"""Experiments on a pool of 90 short sequences: every cell once, whatever is added."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laboratory_trial import SEQUENCES, config_of, store_at

from bioprune_core.errors import ConflictError, InputError, MissingFileError
from bioprune_core.evaluation import Evaluation
from bioprune_core.laboratory import (
    computing,
    gather,
    planned,
    prepare,
    run_experiment,
    status_of,
)
from bioprune_core.progress import Progress
from bioprune_core.storage import write_json
from bioprune_core.tasks import Part
from bioprune_core.workspace import Workspace


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
    said = "6 of 6 trained networks learned no more than letter frequencies"
    assert any(said in note for note in report.notes)
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


def test_networks_of_different_number_formats_are_told(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, base = store_at(tmp_path), workspace.root.parent
    first, both = (prepare(workspace, config_of(seeds=seeds), base) for seeds in ([0], [0, 1]))
    run_experiment(store, first, "cpu")
    assert not any("number formats" in note for note in gather(store, planned(first), None).notes)
    # As a worker with a GPU decides.
    monkeypatch.setattr(computing, "uses_bf16", lambda *_: True)
    run_experiment(store, both, "cpu")
    told = [note for note in gather(store, planned(both), None).notes if "number formats" in note]
    assert len(told) == 1
    assert "3 in float32 and 3 in bf16" in told[0]


def test_a_validation_figure_that_is_no_number_is_kept_as_unknown(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a validation part of one value there is no correlation; what is reported is of the tests."""

    def evaluate(*given: Any) -> Evaluation:
        found = evaluation(*given)
        return replace(found, validation={**found.validation, "spearman": math.nan})

    evaluation = computing.evaluate
    monkeypatch.setattr(computing, "evaluate", evaluate)
    store, prepared = store_at(tmp_path), prepare(workspace, config_of(seeds=[0]), workspace.root.parent)
    assert run_experiment(store, prepared, "cpu").failed == 0
    for cell in prepared.plan.evaluations:
        validation = store.evidence(cell.key)["validation"]
        assert validation["spearman"] is None
        assert validation["mse"] is not None


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


def test_a_task_of_another_alphabet_or_a_missing_file_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"there is no .*none\. Correct its `folder`"):
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
