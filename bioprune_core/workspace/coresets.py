"""Coresets on disk: a selection from a run, with everything needed to make it again."""

import hashlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core import __version__
from bioprune_core.errors import ConflictError, SelectionError
from bioprune_core.hashing import file_digest
from bioprune_core.selection import (
    PICKED,
    PickedSelection,
    ScoreProfile,
    Selection,
    pick_in_duckdb,
    profile_scores,
    select_in_duckdb,
    stratum_counts,
)
from bioprune_core.storage import atomic_path, read_json, write_json
from bioprune_core.workspace.layout import Layout
from bioprune_core.workspace.names import timestamp
from bioprune_core.workspace.state import MANIFEST_FILE
from bioprune_core.workspace.views import run_views

__all__ = ["MEMBERS_FILE", "check_members", "check_scores", "same_scores", "write_coreset"]

MEMBERS_FILE = "members.parquet"
_SCHEMA = pa.schema([("position", pa.int64()), ("hash", pa.uint64())])
_BATCH = 1 << 17


def write_coreset(
    layout: Layout, run_id: str, selection: Selection, directory: Path, identifier: str
) -> Mapping[str, Any]:
    """Select from a finished run and write members.parquet and, last, manifest.json.

    Args:
        layout: The workspace's folders.
        run_id: The run.
        selection: By a strategy, or picked by hand.
        directory: The coreset's folder; removed again when the selection is refused.
        identifier: The coreset's id.

    Returns:
        The manifest.

    Raises:
        SelectionError: The scores or the parameters do not allow a selection, or nothing is picked.
        ConflictError: The run is not finished.
    """
    try:
        with run_views(layout, run_id) as connection:
            # Of the scores of a strategy; nothing is scored where the members are picked.
            profile = None
            if not isinstance(selection, PickedSelection):
                profile = profile_scores(connection, selection)
            written, digest = _write_members(connection, selection, profile, directory / MEMBERS_FILE)
            manifest = _manifest(layout, run_id, selection, profile, identifier)
            manifest["sequences"] = written
            manifest["members_digest"] = digest
            manifest["summary"] = _summary(connection, selection, profile, manifest)
        manifest["members_sha256"] = file_digest(directory / MEMBERS_FILE)
        write_json(directory / MANIFEST_FILE, manifest)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return manifest


def same_scores(wanted: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether a run holds the scores that a coreset was selected from.

    Args:
        wanted: The manifest of the coreset.
        run: The manifest of the run.
    """
    rows = wanted.get("scores_digest"), run["scores"].get("digest")
    # The bytes of the files also tell the version of pyarrow; older manifests have nothing else.
    if None in rows:
        return bool(run["scores"]["sha256"] == wanted["scores_sha256"])
    return bool(rows[0] == rows[1])


def check_scores(wanted: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Check that a run is the one that a coreset was selected from.

    Args:
        wanted: The manifest of the coreset.
        run: The manifest of the run.

    Raises:
        ConflictError: The run holds other scores.
    """
    if not same_scores(wanted, run):
        raise ConflictError(
            f"The run {wanted['run_id']} holds other scores than those that coreset {wanted['id']} was "
            "selected from; the coreset cannot be made again from it."
        )


def check_members(wanted: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    """Check that a coreset made again is the one of a manifest.

    Args:
        wanted: The manifest it was made again from.
        made: Its own manifest.

    Raises:
        ConflictError: Its members differ.
    """
    # The bytes of the file also tell the version of pyarrow; older manifests have nothing else.
    what = "members_digest" if "members_digest" in wanted else "members_sha256"
    if made[what] != wanted[what]:
        raise ConflictError(
            f"Made again, coreset {wanted['id']} differs from its manifest (SHA-256 {made[what]} "
            f"instead of {wanted[what]}). It was made with {wanted['versions']}; use those versions."
        )


def _write_members(
    connection: duckdb.DuckDBPyConnection, selection: Selection, profile: ScoreProfile | None, path: Path
) -> tuple[int, str]:
    """Write positions and hashes, ascending by position.

    Returns:
        How many, and the SHA-256 over position and hash of each, as little-endian 64-bit integers.
    """
    if isinstance(selection, PickedSelection):
        members = pick_in_duckdb(connection, selection)
    else:
        members = select_in_duckdb(connection, selection, "scores", profile)
    written, digest = 0, hashlib.sha256()
    with atomic_path(path) as part, pq.ParquetWriter(part, _SCHEMA, compression="zstd") as writer:
        for batch in members.to_arrow_reader(_BATCH):
            rows = batch.select(_SCHEMA.names).cast(_SCHEMA)
            writer.write_batch(rows, row_group_size=_BATCH)
            both = np.column_stack([column.to_numpy().astype("<u8") for column in rows.columns])
            digest.update(both.tobytes())
            written += rows.num_rows
    if written == 0:
        raise SelectionError("No sequence of the run lies in what is brushed. Brush more, or drop a part.")
    return written, digest.hexdigest()


def _summary(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    profile: ScoreProfile | None,
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """What the selection did: budgets per stratum, where it has strata."""
    if isinstance(selection, PickedSelection):
        return {
            "strategy": PICKED,
            "pool_size": manifest["pool_sequences"],
            "coreset_size": manifest["sequences"],
            "removed": 0,
            "removed_from": None,
            "strata": [],
            "warnings": [],
        }
    return stratum_counts(connection, selection, "scores", profile).to_json()


def _manifest(
    layout: Layout, run_id: str, selection: Selection, profile: ScoreProfile | None, identifier: str
) -> dict[str, Any]:
    run = read_json(layout.run(run_id) / MANIFEST_FILE)
    return {
        "kind": "coreset",
        "id": identifier,
        "run_id": run_id,
        "selection": selection.to_json(),
        # The line that was taken off, for whoever wants to score other sequences by the same measure.
        "length_adjustment": profile.adjustment.to_json() if profile and profile.adjustment else None,
        "pool_sequences": run["counts"]["sequences"],
        "scores_sha256": run["scores"]["sha256"],
        "scores_digest": run["scores"].get("digest"),  # None of a run by an older version.
        "dataset": run["dataset"],
        "model": run["model"],
        "created": timestamp(),
        "versions": {
            "bioprune": __version__,
            "duckdb": duckdb.__version__,
            "pyarrow": pa.__version__,
            "python": sys.version.split()[0],
        },
    }
