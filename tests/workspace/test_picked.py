"""A subset picked by hand holds what its brush selects, and is made again from its manifest alone."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from workspace_samples import LABELS, SEQUENCES, sample_project

from bioprune_core.errors import ConflictError, SelectionError
from bioprune_core.selection import Brush, CategoryColumn, PickedSelection
from bioprune_core.storage import read_json
from bioprune_core.workspace import (
    Coreset,
    ExportFormat,
    Run,
    Workspace,
    export_coreset,
    export_manifest,
    methods_paragraph,
    stream_coreset,
)

SQUARE = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path) -> Run:
    """A run with a map."""
    run = sample_project(workspace, tmp_path / "sample.fa")[3]
    random = np.random.default_rng(5)
    places = pa.table(
        {
            "position": pa.array(range(SEQUENCES), pa.int64()),
            "x": random.normal(size=SEQUENCES).astype(np.float32),
            "y": random.normal(size=SEQUENCES).astype(np.float32),
            "cluster": pa.array([row % 7 for row in range(SEQUENCES)], pa.int32()),
        }
    )
    (workspace.directory(run) / "map").mkdir()
    pq.write_table(places, workspace.directory(run) / "map" / "part-00000.parquet")
    return run


def rows(workspace: Workspace, run: Run) -> dict[str, np.ndarray]:
    scores = pq.read_table(workspace.directory(run) / "scores").sort_by("position")
    places = pq.read_table(workspace.directory(run) / "map")
    return {
        "influence": scores["influence"].to_numpy(),
        "x": places["x"].to_numpy(),
        "y": places["y"].to_numpy(),
        "cluster": places["cluster"].to_numpy(),
        "label": np.array([LABELS[row % 3] for row in range(SEQUENCES)], dtype=object),
        "id": np.array([f"seq{row}" for row in range(SEQUENCES)], dtype=object),
    }


def expected(found: Mapping[str, np.ndarray], brush: Brush) -> list[int]:
    """The brushed positions, computed without SQL."""
    inside = np.ones(SEQUENCES, dtype=bool)
    if brush.influence:
        inside &= (found["influence"] >= brush.influence[0]) & (found["influence"] <= brush.influence[1])
    if brush.region:
        inside &= (np.abs(found["x"]) < 1) & (np.abs(found["y"]) < 1)
    if brush.category:
        column, value = brush.category
        inside &= np.array([(None if one is None else str(one)) == value for one in found[column.value]])
    if brush.search:
        inside &= np.array([brush.search.lower() in one for one in found["id"]])
    return np.flatnonzero(inside).tolist()


BRUSHES = {
    "influence": Brush(influence=(0.5, 1.5)),
    "region": Brush(region=SQUARE),
    "label": Brush(category=(CategoryColumn.LABEL, "riboswitch")),
    "no label": Brush(category=(CategoryColumn.LABEL, None)),
    "cluster": Brush(category=(CategoryColumn.CLUSTER, "3")),
    "search": Brush(search="SEQ4"),
    "all": Brush((0.2, 8.0), SQUARE, (CategoryColumn.LABEL, "tRNA"), "q1"),
}


def positions(workspace: Workspace, coreset: Coreset) -> list[int]:
    members = pq.read_table(workspace.directory(coreset) / "members.parquet")
    found: list[int] = members["position"].to_pylist()
    return found


@pytest.mark.parametrize("name", BRUSHES)
def test_members_are_what_the_brush_selects(workspace: Workspace, run: Run, name: str) -> None:
    brush = BRUSHES[name]
    coreset = workspace.create_coreset(run, name, PickedSelection(brush))
    wanted = expected(rows(workspace, run), brush)
    assert positions(workspace, coreset) == wanted
    assert 0 < len(wanted) < SEQUENCES
    manifest = workspace.manifest(coreset)
    assert manifest["kind"] == "coreset"
    assert manifest["sequences"] == len(wanted)
    assert manifest["selection"]["strategy"] == manifest["summary"]["strategy"] == "picked"
    assert Brush.from_json(manifest["selection"]["brush"]) == brush


@pytest.mark.parametrize("name", BRUSHES)
def test_it_is_made_again_from_its_manifest_with_the_same_bytes(
    workspace: Workspace, run: Run, name: str
) -> None:
    coreset = workspace.create_coreset(run, name, PickedSelection(BRUSHES[name]))
    before = (workspace.directory(coreset) / "members.parquet").read_bytes()
    manifest = read_json(workspace.directory(coreset) / "manifest.json")
    workspace.delete(coreset)
    again = workspace.recreate_coreset(manifest, "again")
    assert (workspace.directory(again) / "members.parquet").read_bytes() == before


def test_another_map_is_noticed(workspace: Workspace, run: Run) -> None:
    manifest = workspace.manifest(workspace.create_coreset(run, "square", PickedSelection(BRUSHES["region"])))
    part = workspace.directory(run) / "map" / "part-00000.parquet"
    table = pq.read_table(part)
    moved = pa.array(table["x"].to_numpy()[::-1], pa.float32())
    pq.write_table(table.set_column(table.schema.get_field_index("x"), "x", moved), part)
    with pytest.raises(ConflictError, match="differs from its manifest"):
        workspace.recreate_coreset(manifest, "again")
    assert [coreset.name for coreset in workspace.coresets()] == ["square"]


def test_it_is_exported_like_any_coreset(workspace: Workspace, run: Run) -> None:
    coreset = workspace.create_coreset(run, "picked", PickedSelection(BRUSHES["all"]))
    for file_format in ExportFormat:
        stream = io.BytesIO()
        export_coreset(workspace, coreset, file_format, stream)
        assert stream.getvalue() == b"".join(stream_coreset(workspace, coreset, file_format))
    ids = b"".join(stream_coreset(workspace, coreset, "ids")).decode().splitlines()
    assert ids == [f"seq{row}" for row in positions(workspace, coreset)]
    exported = json.loads(export_manifest(workspace, coreset))
    assert exported["coreset"]["selection"]["brush"]["region"] == [list(corner) for corner in SQUARE]


def test_the_methods_paragraph_says_that_a_person_picked_and_what(workspace: Workspace, run: Run) -> None:
    text = methods_paragraph(workspace, workspace.create_coreset(run, "all", PickedSelection(BRUSHES["all"])))
    for part in (
        "picked by hand",
        "not by a sampling strategy",
        "self-influence from 0.2 to 8",
        "outline of 4 corners",
        'of the label "tRNA"',
        'with "q1" in their id',
        "not a representative sample",
    ):
        assert part in text
    assert "prune rate" not in text
    assert "seed 0)." not in text.partition("picked by hand")[2]
    text = methods_paragraph(
        workspace, workspace.create_coreset(run, "bare", PickedSelection(BRUSHES["no label"]))
    )
    assert "all sequences without a label." in text


def test_an_empty_brush_leaves_nothing_behind(workspace: Workspace, run: Run) -> None:
    with pytest.raises(SelectionError, match="Nothing is brushed"):
        PickedSelection(Brush())
    for brush in (Brush(influence=(1e6, 1e7)), Brush(search="no such id")):
        with pytest.raises(SelectionError, match="No sequence of the run lies in what is brushed"):
            workspace.create_coreset(run, "nothing", PickedSelection(brush))
    assert workspace.coresets() == []
    assert list((workspace.root / "coresets").glob("*")) == []


def test_a_taken_name_is_refused(workspace: Workspace, run: Run) -> None:
    workspace.create_coreset(run, "mine", PickedSelection(BRUSHES["label"]))
    with pytest.raises(ConflictError, match="already a coreset"):
        workspace.create_coreset(run, "Mine", PickedSelection(BRUSHES["influence"]))


@pytest.mark.parametrize("brush", [BRUSHES["region"], BRUSHES["cluster"]])
def test_a_run_without_a_map_has_no_regions(workspace: Workspace, tmp_path: Path, brush: Brush) -> None:
    run = sample_project(workspace, tmp_path / "sample.fa")[3]
    with pytest.raises(SelectionError, match="without a map"):
        workspace.create_coreset(run, "square", PickedSelection(brush))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "must be an object"),
        ({}, "Nothing is brushed"),
        ({"colour": "red"}, "unknown part 'colour'"),
        ({"influence": [2, 1]}, "smaller one first"),
        ({"influence": ["a", 1]}, "two finite numbers"),
        ({"influence": [0, float("inf")]}, "two finite numbers"),
        ({"region": [[0, 0], [1, 1]]}, "3 to 1,000 corners"),
        ({"region": [[0, 0], [1, 1], [2]]}, "two finite numbers"),
        ({"category": {"column": ["label"], "value": "x"}}, "label or cluster"),
        ({"category": {"column": "label", "value": 3}}, "label or cluster"),
        ({"search": 5}, "must be text"),
    ],
)
def test_a_manifest_that_was_altered_gets_a_sentence(
    workspace: Workspace, run: Run, value: Any, said: str
) -> None:
    manifest = workspace.manifest(workspace.create_coreset(run, "a", PickedSelection(BRUSHES["label"])))
    altered = {**manifest, "selection": {"strategy": "picked", "brush": value}}
    with pytest.raises(SelectionError, match=said):
        workspace.recreate_coreset(altered, "again")
