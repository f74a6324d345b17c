"""A run with sequences that have no score goes on to its end, and to coresets, exports and views of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from stages_here import compute_here
from workspace_samples import open_workspace, random_sequences

from app.queries.run_table import open_run_table, write_run_table
from app.queries.sequence import scored_sequence
from bioprune_core.errors import StageError
from bioprune_core.jobs import JobKind
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.kinds import PLANS
from bioprune_core.jobs.run_manifest import finish
from bioprune_core.jobs.stage import compute
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import discard
from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import (
    Run,
    Workspace,
    export_coreset,
    export_scores,
    methods_paragraph,
    notes_of_run,
    open_views,
)

COUNT = 120
Made = tuple[Workspace, Run, list[int]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A run in which the hidden states of two sequences are NaN, once the fine-tuning is done."""
    root = tmp_path_factory.mktemp("unscored")
    workspace = open_workspace(root / "workspace")
    source = root / "pool.fa"
    letters = random_sequences(COUNT)
    source.write_text("".join(f">seq{row}\n{text}\n" for row, text in enumerate(letters)))
    project = workspace.create_project("unscored")
    dataset = workspace.create_dataset(project, "pool", [source], {"alphabet": "rna"})
    compute_here(workspace, JobKind.INGEST, dataset.id)
    tiny = workspace.plan_model(
        dataset, "rna-fm", "tiny", training={"steps": 2, "token_budget": 512}, validation_size=10
    )
    model = workspace.create_model(project, "tiny", tiny)
    compute_here(workspace, JobKind.PRETRAIN, model.id)
    config = workspace.plan_run(
        dataset,
        model,
        30,
        held_out_size=10,
        training={"steps": 2, "token_budget": 512},
        influence={"shard_size": 32, "unscored_limit": 0.05},
        diagnostics={"enabled": True},
    )
    run = workspace.create_run(config)
    directory = workspace.directory(run)
    stages = [(stage.name, stage.function) for stage in PLANS[JobKind.SCORE]]
    for stage in stages[:2]:
        compute(directory, *stage)
    subset = pq.read_table(directory / "subset.parquet")["position"].to_pylist()
    # One of the subset, and the last of the pool, beyond which no position is.
    bad = sorted({subset[0], COUNT - 1})
    with pytest.MonkeyPatch.context() as patch:
        _spoil(patch, [letters[position] for position in bad])
        for stage in stages[2:]:
            compute(directory, *stage)
    yield workspace, run, bad
    workspace.close()


def _spoil(patch: pytest.MonkeyPatch, spoilt: list[str]) -> None:
    states = MaskedLanguageModel.hidden_states

    def broken(self: MaskedLanguageModel, tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = states(self, tokens, attention_mask)
        for row in range(len(tokens)):
            known = attention_mask[row].bool()
            text = "".join(self.tokeniser.vocabulary[token] for token in tokens[row][known][1:-1].tolist())
            if text in spoilt:
                hidden[row] = torch.nan
        return hidden

    patch.setattr(MaskedLanguageModel, "hidden_states", broken)


def test_the_manifest_counts_and_names_them(made: Made) -> None:
    workspace, run, bad = made
    manifest = workspace.manifest(run)
    assert len(bad) == 2
    assert manifest["counts"]["unscored"] == 2
    assert manifest["counts"]["sequences"] == manifest["scores"]["rows"] == COUNT - 2
    assert manifest["dataset"]["sequences"] == COUNT
    found = manifest["unscored"]
    assert [each["id"] for each in found["scores"]["first"]] == [f"seq{position}" for position in bad]
    in_subset = found["fisher"]["sequences"]
    assert in_subset >= 1
    assert manifest["fisher"]["sequences"] == 30 - in_subset
    sentences = notes_of_run(manifest)
    assert (
        f"2 sequences have no score, because a value is NaN or infinite: seq{bad[0]} (loss)" in sentences[0]
    )
    assert "left out of the Fisher information" in sentences[1]


def test_no_view_shows_them_and_nothing_is_null(made: Made) -> None:
    workspace, run, bad = made
    directory = workspace.directory(run)
    with open_views(workspace, run) as views:
        for view in ("scores", "map", "sequences_scored"):
            positions = views.sql(f"SELECT position FROM {view} ORDER BY position").fetchnumpy()["position"]
            assert positions.tolist() == [position for position in range(COUNT) if position not in bad]
        broken = "SELECT count(*) FROM scores WHERE influence IS NULL OR NOT isfinite(influence)"
        assert views.sql(broken).fetchall() == [(0,)]
    agreement = workspace.manifest(run)["diagnostics"]["agreement"]
    assert -1 <= agreement["rank_correlation"] <= 1
    curvature = workspace.manifest(run)["diagnostics"]["curvature"]
    assert all(np.isfinite(row["rank_correlation"]) for row in curvature["rows"])
    assert (directory / "map").is_dir()


def test_coresets_and_exports_are_made_of_the_others(made: Made, tmp_path: Path) -> None:
    workspace, run, bad = made
    coreset = workspace.create_coreset(
        run, "half", SelectionConfig(strategy="coverage_centric", prune_rate="50", hardest_cut="5", strata=5)
    )
    manifest = workspace.manifest(coreset)
    assert manifest["pool_sequences"] == COUNT - 2
    assert manifest["sequences"] == COUNT - 2 - (COUNT - 2) // 2
    export_coreset(workspace, coreset, "parquet", tmp_path / "coreset.parquet")
    members = pq.read_table(tmp_path / "coreset.parquet")
    assert len(members) == manifest["sequences"]
    export_scores(workspace, run, tmp_path / "scores.parquet")
    scores = pq.read_table(tmp_path / "scores.parquet")
    expected = [position for position in range(COUNT) if position not in bad]
    assert scores["position"].to_pylist() == expected
    assert scores["id"].to_pylist() == [f"seq{position}" for position in expected]
    influence = dict(zip(scores["id"].to_pylist(), scores["influence"].to_pylist(), strict=True))
    assert members["influence"].to_pylist() == [influence[name] for name in members["id"].to_pylist()]
    assert "2 sequences were left out" in methods_paragraph(workspace, coreset)


def test_the_explorer_opens_it(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, run, bad = made
    # So that rows and positions fall into different blocks.
    monkeypatch.setattr("app.queries.run_table._BLOCK", COUNT - 2)
    write_run_table(lambda: open_views(workspace, run), tmp_path / "run.duckdb")
    sequences = workspace.layout.dataset(run.dataset_id) / "sequences"
    with open_run_table(tmp_path / "run.duckdb", sequences) as connection:
        assert connection.execute("SELECT count(*) FROM scored").fetchall() == [(COUNT - 2,)]
        last = max(position for position in range(COUNT) if position not in bad)
        assert scored_sequence(connection, last).total == COUNT - 2


def test_a_run_that_lost_scores_says_what_to_delete_and_keeps_what_they_are_computed_from(made: Made) -> None:
    workspace, run, _ = made
    whole = workspace.directory(run)
    damaged = whole.with_name("run-damaged")
    shutil.copytree(whole, damaged)
    next((damaged / "scores").glob("*.parquet")).unlink()
    inputs = damaged / "fisher" / "inputs-00000.npy"
    inputs.touch()
    with pytest.raises(StageError, match=r"Delete scores and stages/score\.json in .*run-damaged and retry"):
        finish(StageContext(damaged, discard))
    assert inputs.is_file()
