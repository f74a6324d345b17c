"""The demonstration goes on from what is there, and reports only what is its own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from workspace_samples import finish_dataset, finish_run, open_workspace, random_sequences

from bioprune_core.demo import pipeline
from bioprune_core.jobs import JobKind
from bioprune_core.progress import discard
from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import Run, Workspace, read_coreset_manifest

SEQUENCES = random_sequences()


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[JobKind]:
    """What the demonstration computes, which is only a run here; written as if it had been scored."""
    kinds = []

    def compute(workspace: Workspace, kind: JobKind, identifier: str, _: object) -> None:
        kinds.append(kind)
        finish_run(workspace, workspace.run(identifier), SEQUENCES)

    monkeypatch.setattr(pipeline, "run_in_foreground", compute)
    monkeypatch.setattr(pipeline, "_SUBSET", 50)
    return kinds


@pytest.fixture
def workspace(tmp_path: Path, scored: list[JobKind]) -> Iterator[Workspace]:
    """A demonstration up to its model."""
    (tmp_path / "sample.fa").write_text(">a\nACGU\n")
    with closing(open_workspace(tmp_path / "workspace")) as opened:
        project = opened.create_project(pipeline.PROJECT)
        dataset = opened.create_dataset(project, "RNA sample", [tmp_path / "sample.fa"])
        finish_dataset(opened, dataset, SEQUENCES)
        opened.add_model(project, "Small RNA model", "tiny-model")
        yield opened


@pytest.fixture
def older(workspace: Workspace) -> Run:
    """The first scoring as other defaults had planned it, with its coreset."""
    [dataset], [model] = workspace.datasets(), workspace.models()
    config = workspace.plan_run(dataset, model, 50, training={"learning_rate": 3e-4})
    run = workspace.create_run(config, "First scoring")
    finish_run(workspace, run, SEQUENCES)
    workspace.create_coreset(run, "CCI 10 percent", SelectionConfig(prune_rate=50, hardest_cut=5))
    return run


def test_a_second_demonstration_computes_nothing_again(workspace: Workspace, scored: list[JobKind]) -> None:
    first = pipeline.prepare_demo(workspace, discard)
    again = pipeline.prepare_demo(workspace, discard)
    assert (again.run, again.coreset) == (first.run, first.coreset)
    assert scored == [JobKind.SCORE]
    assert [coreset.name for coreset in workspace.coresets()] == ["CCI 10 percent"]


def test_a_first_scoring_of_other_settings_is_none_of_its_own(workspace: Workspace, older: Run) -> None:
    result = pipeline.prepare_demo(workspace, discard)
    run = workspace.run(result.run)
    assert run.id != older.id
    assert run.name == "First scoring 2"
    [coreset] = [each for each in workspace.coresets() if each.run_id == run.id]
    assert coreset.name == "CCI 10 percent 2"
    assert result.coreset == workspace.manifest(coreset)["sequences"] == 50


def test_the_file_is_that_of_the_coreset_it_reports(workspace: Workspace) -> None:
    result = pipeline.prepare_demo(workspace, discard)
    written = result.exported.read_bytes()
    assert written.count(b">") == result.coreset
    manifest = result.exported.with_name("demo-coreset.fasta.manifest.json")
    assert read_coreset_manifest(manifest.read_bytes()).coreset["run_id"] == result.run
    result.exported.write_text(">of another coreset\nACGU\n")
    assert pipeline.prepare_demo(workspace, discard).exported.read_bytes() == written
