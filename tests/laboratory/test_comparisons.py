"""Sequences are compared late, once, and kept by content."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leaky_trial import SEQUENCES, leaky_workspace, prepared

from bioprune_core.errors import InputError, SelectionError
from bioprune_core.laboratory import comparisons
from bioprune_core.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    yield from leaky_workspace(tmp_path)


ASKED = {"near_identity": 0.5, "mixtures": ["cluster"], "leave_out_leaks": True}


def never(*_: object) -> None:
    raise AssertionError("sequences were compared")


@pytest.fixture
def no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparisons, "near_identical", never)
    monkeypatch.setattr(comparisons, "near_duplicate_clusters", never)


@pytest.mark.usefixtures("no_comparison")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mixtures": ["label", "cluster"]}, 'no grouping "label"; it has: cluster, length, source'),
        ({"sizes": [4, 60]}, "coreset size is 60, but"),
        ({"held_out_families": ["tRNA"]}, "no sequence of the pool is labelled with: tRNA"),
        ({"arms": [{"kind": "strategy", "strategy": "length_stratified", "strata": 0}]}, "strata"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_compared(
    workspace: Workspace, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((InputError, SelectionError), match=sentence):
        prepared(workspace, **ASKED | changes)


def test_comparisons_are_made_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(workspace, **ASKED)
    kept = sorted((workspace.root / "experiments" / "pools").iterdir())
    assert len(kept) == 5  # near tests, clusters, two training parts and the one validation part
    with monkeypatch.context() as patched:
        patched.setattr(comparisons, "near_identical", never)
        patched.setattr(comparisons, "near_duplicate_clusters", never)
        again = prepared(workspace, **ASKED | {"seeds": [0, 1]})
        with pytest.raises(AssertionError, match="were compared"):
            prepared(workspace, **ASKED | {"near_identity": 0.6})
    np.testing.assert_array_equal(again.arrays.groups["cluster"], first.arrays.groups["cluster"])
    assert again.arrays.excluded is not None
    assert again.arrays.excluded.tolist() == np.asarray(first.arrays.excluded).tolist()
    assert again.notes == first.notes


def test_measuring_leaks_and_leaving_them_out_compare_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(workspace)
    monkeypatch.setattr(comparisons, "near_identical", never)
    assert "Task leaky: 2 of 16" in " ".join(prepared(workspace, leave_out_leaks=True).notes)


@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped"])
def test_damaged_files_are_computed_again(workspace: Workspace, damage: str) -> None:
    first = prepared(workspace, **ASKED)
    kept = sorted((workspace.root / "experiments" / "pools").iterdir())
    whole = [path.read_bytes() for path in kept]
    for path, content in zip(kept, whole, strict=True):
        # Near the end of the values lies a byte that only the checksum knows.
        place = content.index(b"\x93NUMPY") + 130
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        path.write_bytes({"emptied": b"", "cut": content[:-40], "flipped": flipped}[damage])
    again = prepared(workspace, **ASKED)
    assert [cell.key for cell in again.plan.evaluations] == [cell.key for cell in first.plan.evaluations]
    np.testing.assert_array_equal(again.arrays.groups["cluster"], first.arrays.groups["cluster"])
    for path in kept:
        with np.load(path) as arrays:
            assert len(arrays["values"])


def test_a_full_disk_costs_time_only(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bioprune_core.laboratory.comparisons.np.savez", full)
    assert len(prepared(workspace, **ASKED).arrays.groups["cluster"]) == len(SEQUENCES)
    assert not list((workspace.root / "experiments" / "pools").iterdir())
