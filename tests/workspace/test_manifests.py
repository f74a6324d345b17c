"""A manifest that somebody brings along makes its coreset again, or says in a sentence why not."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from workspace_samples import open_workspace, sample_project

from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Coreset, Run, Workspace, export_manifest, read_coreset_manifest

CONFIG = SelectionConfig(prune_rate=Decimal(80), seed=3)


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path) -> Run:
    return sample_project(workspace, tmp_path / "sample.fa")[3]


@pytest.fixture
def coreset(workspace: Workspace, run: Run) -> Coreset:
    return workspace.create_coreset(run, "small", CONFIG)


def test_the_downloaded_manifest_and_that_of_the_folder_are_both_read(
    workspace: Workspace, coreset: Coreset
) -> None:
    downloaded = read_coreset_manifest(export_manifest(workspace, coreset))
    assert downloaded.name == "small"
    folder = read_coreset_manifest((workspace.directory(coreset) / "manifest.json").read_bytes())
    assert folder.name == ""
    assert downloaded.coreset == folder.coreset == workspace.manifest(coreset)


def test_it_is_made_again_where_a_run_has_the_same_scores(
    workspace: Workspace, coreset: Coreset, tmp_path: Path
) -> None:
    manifest = read_coreset_manifest(export_manifest(workspace, coreset)).coreset
    other = open_workspace(tmp_path / "other")
    try:
        run = sample_project(other, tmp_path / "again.fa")[3]
        assert run.id != manifest["run_id"]
        again = other.recreate_coreset(manifest, "small", "Sample")
        members = [
            place.directory(one) / "members.parquet" for place, one in ((workspace, coreset), (other, again))
        ]
        assert members[0].read_bytes() == members[1].read_bytes()
        assert again.run_id == run.id
    finally:
        other.close()


@pytest.mark.parametrize("named", [True, False], ids=["the same run", "a run with the same scores"])
def test_scores_are_compared_and_not_how_a_version_of_pyarrow_writes_them(
    workspace: Workspace, run: Run, named: bool
) -> None:
    path = workspace.directory(run) / "manifest.json"
    scores = read_json(path)["scores"] | {"digest": "d" * 64}
    write_json(path, {**read_json(path), "scores": scores})
    manifest = dict(workspace.manifest(workspace.create_coreset(run, "small", CONFIG)))
    if not named:
        manifest["run_id"] = "run-elsewhere"
    write_json(path, {**read_json(path), "scores": scores | {"sha256": "f" * 64}})
    assert workspace.recreate_coreset(manifest, "again").run_id == run.id
    del manifest["scores_digest"]  # As older versions wrote it.
    with pytest.raises(ConflictError if named else NotFoundError, match="scores"):
        workspace.recreate_coreset(manifest, "once more")
    write_json(path, {**read_json(path), "scores": scores | {"digest": "e" * 64}})
    with pytest.raises(ConflictError if named else NotFoundError, match="scores"):
        workspace.recreate_coreset(manifest | {"scores_digest": "d" * 64}, "once more")


def test_a_missing_run_is_named_with_what_to_do(workspace: Workspace, coreset: Coreset) -> None:
    manifest = {**workspace.manifest(coreset), "run_id": "run-elsewhere", "scores_sha256": "0" * 64}
    with pytest.raises(NotFoundError, match=r"run-elsewhere, which is not here.*Score the same dataset"):
        workspace.recreate_coreset(manifest, "again", "Sample")


def test_a_run_of_another_project_is_named_with_its_project(workspace: Workspace, coreset: Coreset) -> None:
    other = workspace.create_project("Elsewhere")
    with pytest.raises(ConflictError, match='of the project "Sample"'):
        workspace.recreate_coreset(workspace.manifest(coreset), "again", other)


def test_other_scores_are_told_before_anything_is_selected(
    workspace: Workspace, run: Run, coreset: Coreset
) -> None:
    path = workspace.directory(run) / "manifest.json"
    write_json(path, {**read_json(path), "scores": {"sha256": "f" * 64, "parts": []}})
    with pytest.raises(ConflictError, match="holds other scores"):
        workspace.recreate_coreset(workspace.manifest(coreset), "again")
    assert len(workspace.coresets()) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x89PNG", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "of no coreset"),
        (b'{"kind": "run"}', "manifest of a run"),
        (b'{"coreset": 5}', "of no coreset"),
        (b'{"kind": "coreset", "id": "x", "selection": []}', "lacks run_id, selection, scores_sha256"),
        (b" " * (16 << 20) + b"{}", "at most 16,777,216"),
    ],
)
def test_what_is_no_manifest_gets_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_coreset_manifest(data)


@pytest.mark.parametrize("change", [{"strata": "many"}, {"strategy": ["random"]}, {"colour": 1}])
def test_an_altered_selection_gets_a_sentence(
    workspace: Workspace, coreset: Coreset, change: dict[str, Any]
) -> None:
    manifest = json.loads(json.dumps(workspace.manifest(coreset)))
    manifest["selection"] |= change
    with pytest.raises(InputError):
        workspace.recreate_coreset(manifest, "again")
