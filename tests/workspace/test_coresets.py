import hashlib
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from workspace_samples import SEQUENCES, finish_run, random_sequences, sample_project

from bioprune_core.errors import ConflictError, SelectionError
from bioprune_core.selection import SelectionConfig, StrataKind, Strategy, select
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Coreset, Workspace, export_manifest, methods_paragraph, open_views
from bioprune_core.workspace.coresets import write_coreset

CONFIG = SelectionConfig(prune_rate=Decimal(80), hardest_cut=Decimal(5), strata=10, seed=3)


def test_a_coreset_holds_what_the_selection_selects(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    coreset = workspace.create_coreset(run, "small", CONFIG)
    members = pq.read_table(workspace.directory(coreset) / "members.parquet")
    with open_views(workspace, run) as views:
        scores = views.sql("SELECT influence, hash FROM scores ORDER BY position").fetchnumpy()
    expected = select(
        scores["influence"],
        "coverage_centric",
        prune_rate=80,
        hardest_cut=5,
        strata=10,
        seed=3,
        ids=scores["hash"],
    )
    assert members["position"].to_pylist() == expected.tolist()
    assert members["hash"].to_pylist() == scores["hash"][expected].tolist()
    manifest = workspace.manifest(coreset)
    assert manifest["sequences"] == len(expected) == SEQUENCES // 5
    assert sum(stratum["budget"] for stratum in manifest["summary"]["strata"]) == len(expected)
    assert manifest["selection"]["prune_rate"] == "80"


def test_a_coreset_is_made_again_from_its_manifest_alone(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    coreset = workspace.create_coreset(run, "small", CONFIG)
    directory = workspace.directory(coreset)
    (tmp_path / "kept").mkdir()
    shutil.copy(directory / "members.parquet", tmp_path / "kept")
    manifest = read_json(directory / "manifest.json")
    workspace.delete(coreset)
    again = workspace.recreate_coreset(manifest, "small again")
    members = workspace.directory(again) / "members.parquet"
    assert members.read_bytes() == (tmp_path / "kept" / "members.parquet").read_bytes()


def test_members_are_compared_and_not_how_a_version_of_pyarrow_writes_them(
    workspace: Workspace, tmp_path: Path
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    coreset = workspace.create_coreset(run, "small", CONFIG)
    manifest = dict(workspace.manifest(coreset))
    members = pq.read_table(workspace.directory(coreset) / "members.parquet")
    both = np.column_stack([members["position"].to_numpy().astype(np.uint64), members["hash"].to_numpy()])
    assert manifest["members_digest"] == hashlib.sha256(both.astype("<u8").tobytes()).hexdigest()
    written_otherwise = manifest | {"members_sha256": "0"}
    again = workspace.recreate_coreset(written_otherwise, "again")
    assert pq.read_table(workspace.directory(again) / "members.parquet") == members
    del written_otherwise["members_digest"]  # As older versions wrote it.
    with pytest.raises(ConflictError, match="differs from its manifest"):
        workspace.recreate_coreset(written_otherwise, "once more")


def test_a_coreset_that_a_model_is_still_to_be_trained_on_is_not_deleted(
    workspace: Workspace, tmp_path: Path
) -> None:
    _, dataset, _, run = sample_project(workspace, tmp_path / "sample.fa")
    coreset, other = (workspace.create_coreset(run, name, CONFIG) for name in ("small", "other"))
    config = workspace.plan_model(dataset, "rna-fm", "tiny", coreset_id=coreset.id)
    model = workspace.create_model(dataset.project_id, "from small", config)  # queued: nothing has run yet
    workspace.delete(other)
    with pytest.raises(
        ConflictError, match=r'coreset "small" cannot .* needed by model "from small".*that fir'
    ):
        workspace.delete(coreset)
    assert (workspace.directory(coreset) / "members.parquet").is_file()
    workspace.delete(model)
    workspace.delete(coreset)


def test_a_manifest_of_other_scores_makes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    manifest = dict(workspace.manifest(workspace.create_coreset(run, "small", CONFIG)))
    with pytest.raises(ConflictError, match="holds other scores"):
        workspace.recreate_coreset(manifest | {"scores_sha256": "0"}, "again")
    with pytest.raises(ConflictError, match="differs from its manifest"):
        workspace.recreate_coreset(manifest | {"members_digest": "0"}, "again")
    assert [coreset.name for coreset in workspace.coresets()] == ["small"]
    assert len(list((workspace.root / "coresets").iterdir())) == 1


def test_a_refused_selection_leaves_nothing_behind(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    part = workspace.directory(run) / "scores" / "part-00001.parquet"
    table = pq.read_table(part)
    broken = np.array(table["influence"]).copy()
    broken[3] = np.nan
    pq.write_table(table.set_column(table.schema.get_field_index("influence"), "influence", [broken]), part)
    with pytest.raises(SelectionError, match="1 "):
        workspace.create_coreset(run, "small", CONFIG)
    assert workspace.coresets() == []
    assert list((workspace.root / "coresets").glob("*")) == []


def test_a_run_that_is_deleted_while_its_coreset_is_selected_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")

    def select_and_delete(*arguments: object) -> None:
        write_coreset(*arguments)  # type: ignore[arg-type]
        workspace.delete(run)

    monkeypatch.setattr("bioprune_core.workspace.workspace.write_coreset", select_and_delete)
    with pytest.raises(ConflictError, match=r'coreset "small" was not made: its run was deleted'):
        workspace.create_coreset(run, "small", CONFIG)
    assert list((workspace.root / "coresets").iterdir()) == []


def test_a_name_that_is_taken_while_its_coreset_is_selected_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")

    def select_and_take(*arguments: object) -> None:
        write_coreset(*arguments)  # type: ignore[arg-type]
        workspace.catalogue.add(
            Coreset, "Small", id="coreset-of-another", project_id=run.project_id, run_id=run.id
        )

    monkeypatch.setattr("bioprune_core.workspace.workspace.write_coreset", select_and_take)
    with pytest.raises(ConflictError, match='already a coreset named "small"'):
        workspace.create_coreset(run, "small", CONFIG)
    assert list((workspace.root / "coresets").iterdir()) == []


def test_unfinished_runs_cannot_be_seen_or_selected_from(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    (workspace.directory(run) / "manifest.json").unlink()
    with pytest.raises(ConflictError, match="not finished"):
        open_views(workspace, run)
    with pytest.raises(ConflictError, match="not finished"):
        workspace.create_coreset(run, "small", CONFIG)


def test_names_of_coresets_are_unique_in_a_project(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    workspace.create_coreset(run, "small", CONFIG)
    with pytest.raises(ConflictError, match="already a coreset"):
        workspace.create_coreset(run, "SMALL", CONFIG)
    with pytest.raises(ConflictError, match='needed by coreset "small"'):
        workspace.delete(run)


def test_views_join_pool_and_scores_and_take_any_path(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    with open_views(workspace, run, memory_limit="200MB", threads=1) as views:
        count, total = views.sql("SELECT count(*), sum(duplicates) FROM sequences_scored").fetchall()[0]
        assert (count, total) == (SEQUENCES, SEQUENCES)
        wrong = views.sql("SELECT count(*) FROM sequences_scored WHERE tokens != length + 2").fetchall()
        assert wrong == [(0,)]
        with pytest.raises(duckdb.CatalogException):
            views.sql("SELECT * FROM map")


def test_the_methods_paragraph_and_the_manifest_name_every_number(
    workspace: Workspace, tmp_path: Path
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    coreset = workspace.create_coreset(run, "small", CONFIG)
    text = methods_paragraph(workspace, coreset)
    for part in (
        "500 distinct RNA",
        "tiny",
        "SHA-256 of weights addedaddedadded",
        "50 sequences",
        "for 1 epoch with 4,096 tokens a step and 15 % of the residues masked",
        "a learning rate of at most 0.0001 (a warm-up over 10 % of the steps, then linear)",
        "in float32 (seed 0)",
        "the parameters head, in bf16 in batches of 8,192 tokens.",
        "80 %",
        "5 %",
        "10 strata (equal-width) with budgets as equal as the strata allow",
        "seed 3",
        run.id,
        "1e-08",
    ):
        assert part in text
    assert "\n" not in text
    exported = export_manifest(workspace, coreset)
    assert run.id.encode() in exported
    assert exported == export_manifest(workspace, coreset)


def test_the_methods_paragraph_tells_runs_of_other_settings_apart(
    workspace: Workspace, tmp_path: Path
) -> None:
    _, dataset, model, run = sample_project(workspace, tmp_path / "sample.fa")
    other = workspace.plan_run(dataset, model, 50, training={"learning_rate": 3e-4, "steps": 20, "seed": 4})
    longer = workspace.create_run(other)
    finish_run(workspace, longer, random_sequences())
    path = workspace.directory(longer) / "manifest.json"
    gpu = {"device": "cuda:0", "gpu": "NVIDIA H100"}
    write_json(path, read_json(path) | {"hardware": gpu})
    one, two = (
        methods_paragraph(workspace, workspace.create_coreset(each, each.name, CONFIG))
        for each in (run, longer)
    )
    assert "a learning rate of at most 0.0001 " in one
    for part in ("for 20 steps with", "at most 0.0003 ", "in the precision auto on NVIDIA H100 (seed 4)"):
        assert part in two


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "c0ffeec0ffeec0ff)."),
        (
            {"minimum_length": 30, "maximum_length": 1_022, "ambiguous": "drop"},
            "; sequences of fewer than 30 residues were dropped; those of more than 1,022 residues were "
            "dropped; sequences with ambiguous letters were dropped).",
        ),
        (
            {"maximum_length": 500, "too_long": "window", "window_overlap": 50, "ambiguous": "replace"},
            "; those of more than 500 residues were cut into windows of that length that share 50; ambiguous "
            "letters were replaced by the wildcard).",
        ),
        ({"maximum_length": 500, "too_long": "truncate"}, "were truncated to that length)."),
    ],
)
def test_the_methods_paragraph_names_what_the_ingest_left_out(
    workspace: Workspace, tmp_path: Path, options: dict[str, object], said: str
) -> None:
    _, dataset, _, run = sample_project(workspace, tmp_path / "sample.fa")
    path = workspace.directory(dataset) / "manifest.json"
    write_json(path, read_json(path) | {"options": options})
    assert said in methods_paragraph(workspace, workspace.create_coreset(run, "small", CONFIG))


def test_the_methods_paragraph_calls_no_pool_distinct_that_kept_its_duplicates(
    workspace: Workspace, tmp_path: Path
) -> None:
    _, dataset, _, run = sample_project(workspace, tmp_path / "sample.fa")
    path = workspace.directory(dataset) / "manifest.json"
    write_json(path, read_json(path) | {"options": {"deduplicate": False}})
    text = methods_paragraph(workspace, workspace.create_coreset(run, "small", CONFIG))
    assert "500 RNA sequences" in text
    assert "distinct" not in text


def test_the_methods_paragraph_counts_the_strata_that_there_are(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    quantiles = SelectionConfig(strata=50, strata_kind=StrataKind.QUANTILE)
    for part in (workspace.directory(run) / "scores").iterdir():
        table = pq.read_table(part)
        tied = np.minimum(np.floor(table["influence"].to_numpy()), 3)
        influence = table.schema.get_field_index("influence")
        pq.write_table(table.set_column(influence, "influence", [tied]), part)
    coreset = workspace.create_coreset(run, "tied", quantiles)
    there = len(workspace.manifest(coreset)["summary"]["strata"])
    assert 1 < there < 10
    assert (
        f"over {there} strata (quantile, 50 asked for) with budgets as equal as the strata allow (arXiv"
        in methods_paragraph(workspace, coreset)
    )


def test_the_methods_paragraph_names_the_strata_of_length(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    by_length = SelectionConfig(Strategy.LENGTH_STRATIFIED, strata=7, strata_kind=StrataKind.LOG_WIDTH)
    text = methods_paragraph(workspace, workspace.create_coreset(run, "by length", by_length))
    assert "over 7 strata of length (log-width) with budgets as equal as the strata allow (seed 0)." in text


def test_a_renamed_coreset_keeps_its_manifest(workspace: Workspace, tmp_path: Path) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")
    coreset = workspace.create_coreset(run, "small", CONFIG)
    before = workspace.manifest(coreset)
    renamed = workspace.rename(coreset, "smaller")
    assert workspace.manifest(renamed) == before
