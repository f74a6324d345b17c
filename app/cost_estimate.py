"""What a run will cost, from what earlier runs of the same model measured; nothing is guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.services import workspace
from bioprune_core.influence import InfluenceConfig
from bioprune_core.workspace import Project, Run, State

__all__ = ["CostEstimate", "Measured", "estimate", "latest_measurement", "measurement_of"]

_SPECIAL_TOKENS = 2
"""cls and eos, which a model adds to every sequence."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one finished run took.

    Args:
        run: Its name.
        device: What it ran on: "cpu", "cuda:0".
        score_s: Seconds to score `tokens` tokens in one go.
        tokens: Tokens scored.
        sequences: Sequences scored.
        tune_s: Seconds to fine-tune on `tuned` sequences (epochs times subset).
        tuned: See above.
        map_s: Seconds to draw the map of all sequences.
        bytes: Size of the run's folder.
    """

    run: str
    device: str
    score_s: float
    tokens: int
    sequences: int
    tune_s: float
    tuned: float
    map_s: float
    bytes: int


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a run is expected to take, with the run that was measured.

    Args:
        seconds: In all.
        bytes: On disk.
        measured: Where it comes from.
    """

    seconds: float
    bytes: int
    measured: Measured


def latest_measurement(
    project: Project, model_id: str, reference: str | None, influence: Mapping[str, Any]
) -> Measured | None:
    """What the newest finished run of a model took that differentiated the same loss by the same parameters.

    Runs with an interrupted stage do not count.

    Args:
        project: Where to look for a model that was trained here.
        model_id: Id of the model; empty where it is not in the catalogue yet.
        reference: Name, hub id or path of a model from elsewhere; its runs in any project count.
        influence: Fields of `InfluenceConfig` that differ from the default.
    """
    work = _work(influence)
    for run in reversed(workspace().runs(None if reference else project)):
        if workspace().state(run) is not State.DONE:
            continue
        if run.model_id != model_id and (reference is None or _reference(run) != reference):
            continue
        if _work(workspace().config(run).get("influence", {})) != work:
            continue
        measured = measurement_of(run.name, workspace().manifest(run), workspace().directory(run))
        if measured is not None:
            return measured
    return None


def estimate(measured: Measured, *, sequences: int, letters: int, subset: int, epochs: float) -> CostEstimate:
    """Scale a measurement to another pool and subset.

    Scoring goes by tokens, fine-tuning by tokens seen, Fisher by the subset's share of the pool's tokens, the
    map and the disk by sequences.
    """
    tokens = letters + _SPECIAL_TOKENS * sequences
    longer = tokens / max(1, sequences) / (measured.tokens / measured.sequences)
    seconds = (
        measured.score_s / measured.tokens * tokens * (1 + subset / max(1, sequences))
        + measured.tune_s * longer * epochs * subset / measured.tuned
        + measured.map_s * sequences / measured.sequences
    )
    return CostEstimate(seconds, round(measured.bytes * sequences / measured.sequences), measured)


def _work(influence: Mapping[str, Any]) -> tuple[object, ...]:
    """What of a configuration decides how much there is to compute for a sequence."""
    config = InfluenceConfig.from_json(dict(influence))
    return config.objective, config.masks, config.parameters


def _reference(run: Run) -> str | None:
    reference: str | None = workspace().config(run).get("model_reference")
    return reference


def measurement_of(run: str, manifest: Mapping[str, Any], folder: Path) -> Measured | None:
    """What a run took by its manifest; None where a stage was interrupted or is missing."""
    stages = {stage["stage"]: stage for stage in manifest.get("stages", ())}
    needed = ("fine-tune", "score", "map")
    if any(name not in stages or stages[name]["attempts"] != 1 for name in needed):
        return None
    counts, config = manifest["counts"], manifest["config"]
    epochs = float(manifest["training"]["epochs"])
    if not epochs:
        return None  # says nothing about the time of a fine-tuning
    return Measured(
        run=run,
        device=str(manifest["hardware"]["device"]),
        score_s=stages["score"]["seconds"],
        tokens=counts["tokens"],
        sequences=counts["sequences"],
        tune_s=stages["fine-tune"]["seconds"],
        tuned=epochs * config["subset_size"],
        map_s=stages["map"]["seconds"],
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )
