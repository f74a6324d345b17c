"""The last stage of a scoring: the manifest, which makes the run complete."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bioprune_core.errors import StageError
from bioprune_core.hashing import file_digest
from bioprune_core.influence import InfluenceConfig, Unscored, read_unscored
from bioprune_core.jobs.context import StageContext, record_file
from bioprune_core.jobs.correlations import score_correlations
from bioprune_core.jobs.kinds import PLANS, JobKind
from bioprune_core.jobs.row_digest import RowDigest
from bioprune_core.jobs.versions import versions
from bioprune_core.progress import Progress
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace.configuration import RunConfig
from bioprune_core.workspace.events import EventKind, read_events
from bioprune_core.workspace.names import timestamp
from bioprune_core.workspace.positioned import PositionedTable, parts_of
from bioprune_core.workspace.state import MANIFEST_FILE

__all__ = ["finish"]

_NAMED = 10
"""Of the sequences without a score."""


def finish(context: StageContext) -> Mapping[str, Any]:
    """Gather what the stages left, check that every sequence is accounted for, and write manifest.json.

    Raises:
        StageError: Scores and sequences without one are more or fewer than the sequences.
    """
    config = RunConfig.from_json(context.config)
    pool = read_json(context.layout.dataset(config.dataset_id) / MANIFEST_FILE)
    tuned, counts = context.evidence("fine-tune"), context.evidence("score")
    scores = _scores(context)
    unscored = read_unscored(context.directory / "scores")
    if scores["rows"] + len(unscored) != pool["sequences"]:
        raise StageError(
            f"The run has {scores['rows']:,} scores for {pool['sequences']:,} sequences, of which "
            f"{len(unscored):,} cannot be scored. Delete scores and {record_file(Path(), 'score')} in "
            f"{context.directory} and retry; they are computed again."
        )
    _remove_intermediates(context.directory)
    stages = _stages(context.directory)
    manifest = {
        "kind": "run",
        "id": context.directory.name,
        "config": dict(context.config),
        "dataset": {
            "id": config.dataset_id,
            "content_hash": pool["content_hash"],
            "alphabet": pool["alphabet"],
            "sequences": pool["sequences"],
        },
        "model": tuned["model"],
        "subset": dict(context.evidence("subset")) | {"seed": config.subset_seed},
        "training": tuned["training"],
        "convergence": tuned["convergence"],
        "influence": InfluenceConfig.from_json(dict(config.influence)).to_json(),
        "fisher": context.evidence("fisher"),
        "diagnostics": context.evidence("diagnostics"),
        "map": dict(config.map),
        "scores": scores,
        "counts": counts,
        "unscored": _unscored(context, config, unscored),
        "rank_correlations": score_correlations(parts_of(context.directory / "scores"), scores["rows"]),
        "hardware": tuned["hardware"],
        "versions": versions(),
        "stages": stages,
        "seconds": round(sum(stage["seconds"] for stage in stages), 3),
        "created": timestamp(),
    }
    write_json(context.directory / MANIFEST_FILE, manifest)
    return {}


def _remove_intermediates(directory: Path) -> None:
    """Remove what is large and of no use once the stages before are done.

    Not in those stages themselves: killed before its record was written, one would find its inputs gone. The
    receipts of parts stay, which say what has no score.
    """
    fisher = directory / "fisher"
    # With linear layers each part of the Fisher, and all of the second subset, is as large as the model.
    for path in (*fisher.glob("inputs-*.npy"), *fisher.glob("part-*.safetensors")):
        path.unlink()
    if (second := directory / "diagnostics" / "second" / "fisher").exists():
        shutil.rmtree(second)


def _scores(context: StageContext) -> dict[str, Any]:
    """Rows and digest of every part, and two over all, of files and of rows: what a coreset is bound to."""
    paths = parts_of(context.directory / "scores")
    parts, rows, whole, values = [], 0, hashlib.sha256(), RowDigest()
    for done, path in enumerate(paths, 1):
        digest, count = file_digest(path), pq.read_metadata(path).num_rows
        whole.update(digest.encode())
        values.add(path)
        parts.append({"name": path.name, "rows": count, "sha256": digest})
        rows += count
        context.report(Progress("manifest", done, len(paths), "shards"))
    return {"rows": rows, "sha256": whole.hexdigest(), "digest": values.hexdigest(), "parts": parts}


def _unscored(
    context: StageContext, config: RunConfig, of_scores: tuple[Unscored, ...]
) -> dict[str, dict[str, Any]]:
    """How many sequences the passes left out, and the first by name; the receipts name them all."""
    found = {"scores": of_scores, "fisher": read_unscored(context.directory / "fisher")}
    named = {name: records[:_NAMED] for name, records in found.items()}
    ids: dict[int, str] = {}
    if any(named.values()):
        positions = np.unique([each.position for records in named.values() for each in records])
        folder = context.layout.dataset(config.dataset_id) / "sequences"
        table = PositionedTable(folder, ["id"]).take(positions)
        ids = dict(zip(positions.tolist(), table["id"].to_pylist(), strict=True))
    return {
        name: {
            "sequences": len(found[name]),
            "first": [each.to_json() | {"id": ids[each.position]} for each in records],
        }
        for name, records in named.items()
    }


def _stages(directory: Path) -> list[dict[str, Any]]:
    """Times, memory and attempts of the stages before this one."""
    attempts = Counter(
        event.stage for event in read_events(directory) if event.kind is EventKind.STAGE_STARTED
    )
    records = []
    for stage in PLANS[JobKind.SCORE]:
        path = record_file(directory, stage.name)
        if path.is_file():
            record = read_json(path)
            del record["evidence"]
            records.append(record | {"attempts": attempts[stage.name]})
    return records
