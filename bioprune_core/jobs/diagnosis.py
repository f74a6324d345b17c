"""Whether the scores of a run can be trusted: what another subset and other forms of the Fisher say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.diagnostics import (
    DiagnosticsConfig,
    compare_curvature,
    compare_influences,
    second_influence,
)
from bioprune_core.diagnostics.dense_gradients import is_supported
from bioprune_core.influence import InfluenceConfig, read_plan, read_unscored
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.environment import resolve_device
from bioprune_core.jobs.pools import open_pool
from bioprune_core.jobs.subset import draw_groups
from bioprune_core.models import MaskedLanguageModel, load_model
from bioprune_core.progress import Progress, Reporter
from bioprune_core.sequences import Pool
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace.configuration import RunConfig
from bioprune_core.workspace.positioned import parts_of

__all__ = ["diagnosis"]

_LEAST = 20
"""Fewer sequences say nothing about an order."""


def diagnosis(context: StageContext, config: RunConfig, settings: DiagnosticsConfig) -> Mapping[str, Any]:
    """Compare the scores of a run with others: diagnostics/.

    Args:
        context: Of the stage.
        config: Of the run.
        settings: How much to compare.
    """
    plan = read_plan(context.directory / "fisher", InfluenceConfig.from_json(dict(config.influence)))
    assert plan is not None  # the Fisher pass begins with it
    model = load_model(context.directory / "adapted" / "network", resolve_device(config.device))
    most = plan.most_tokens(model.device) or plan.config.batch_tokens
    run = _FinishedScores(
        context,
        config,
        replace(plan.config, token_budget=min(most, plan.config.batch_tokens)),
        open_pool(context, config.dataset_id, config.dataset_content_hash),
        model,
    )
    return {
        "settings": settings.to_json(),
        "agreement": _agreement(run, settings),
        "curvature": _curvature(run, settings),
    }


@dataclass(frozen=True, slots=True)
class _FinishedScores:
    """What the scores of a run were computed from."""

    context: StageContext
    config: RunConfig
    influence: InfluenceConfig
    pool: Pool
    model: MaskedLanguageModel

    def draw(self, *sizes: int) -> tuple[NDArray[np.int64], ...]:
        """Disjoint groups of positions, the run's own subset first."""
        return draw_groups(self.pool.hashes(), sizes, self.config.subset_seed)

    def scored(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those that have a score: what is not finite would spoil every comparison."""
        unscored = [each.position for each in read_unscored(self.context.directory / "scores")]
        return positions[~np.isin(positions, unscored)]


def _agreement(run: _FinishedScores, settings: DiagnosticsConfig) -> dict[str, Any]:
    if not settings.sample_size:
        return {"reason": "Not computed: its sample size is 0."}
    size = run.config.subset_size
    # After the run's own subset and held-out slice, so that all four are disjoint.
    _, _, second, sample = run.draw(size, run.config.held_out_size, size, settings.sample_size)
    if len(second) < size or len(sample) < _LEAST:
        return {
            "reason": f"Not computed: the pool of {len(run.pool):,} has no room for a second subset of "
            f"{size:,} and {_LEAST} other sequences beside the first and the held-out slice."
        }
    second, sample = run.scored(second), run.scored(sample)
    report = _within(run.context.report, {"fisher": 0, "score": len(second)}, len(second) + len(sample))
    directory = run.context.directory / "diagnostics" / "second"
    other = second_influence(run.model, run.pool, second, sample, run.influence, directory, report)
    known = np.isfinite(other)
    own = _influence_at(parts_of(run.context.directory / "scores"), sample[known])
    return compare_influences(own, other[known], size).to_json()


def _curvature(run: _FinishedScores, settings: DiagnosticsConfig) -> dict[str, Any]:
    influence, model, context = run.influence, run.model, run.context
    if not settings.curvature_sample:
        return {"reason": "Not computed: its sample size is 0."}
    if not is_supported(model, influence):
        return {
            "reason": "Not computed: it is known for the objective unmasked and the parameters head alone, "
            f"without windows, of a head in closed form, and this run has {influence.objective}, "
            f"{influence.parameters}, {influence.too_long} and the layer {model.head.dense_parameter_name}."
        }
    size = run.config.subset_size
    sample = run.scored(run.draw(size, run.config.held_out_size, settings.curvature_sample)[2])
    if len(sample) < _LEAST:
        return {"reason": f"Not computed: fewer than {_LEAST} sequences lie outside the subset."}
    kept = context.directory / "diagnostics" / "curvature.json"
    if kept.is_file():
        found: dict[str, Any] = read_json(kept)
        return found
    # A smaller draw under the same seed is part of a larger one: these are members of the subset.
    (members,) = run.draw(min(size, settings.curvature_members))
    members = run.scored(members)
    total, done = len(members) + len(sample), 0

    def advance(sequences: int) -> None:
        nonlocal done
        done += sequences
        context.report(Progress("diagnostics", done, total, "sequences"))

    pool = run.pool
    curvature = compare_curvature(model, pool.take(members), pool.take(sample), influence, advance)
    write_json(kept, curvature.to_json())
    return curvature.to_json()


def _within(report: Reporter, starts: Mapping[str, int], total: int) -> Reporter:
    """A reporter that tells the passes of a diagnosis as one, each from its start."""

    def forward(progress: Progress) -> None:
        done = min(total, starts.get(progress.stage, 0) + progress.done)
        report(Progress("diagnostics", done, total, progress.unit, progress.metrics))

    return forward


def _influence_at(parts: Sequence[Path], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """The run's own influence at some positions, ascending; float64, shape (n,)."""
    found = []
    for part in parts:
        table = pq.read_table(part, columns=["position", "influence"])
        chosen = np.isin(table["position"].to_numpy(), positions)
        found.append(table["influence"].to_numpy()[chosen])
    return np.concatenate(found).astype(np.float64)
