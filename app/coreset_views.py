"""A saved coreset as a person reads it: strategy in words, provenance, what each stratum gave."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.charts.selection import StrataBudget, strata_chart
from app.components import Html, chart
from app.formatting import alphabet_name, count, time_html
from app.services import workspace
from app.theme import current_palette
from bioprune_core.alphabet import Alphabet
from bioprune_core.selection import Strategy
from bioprune_core.workspace import Coreset

__all__ = ["STRATEGIES", "provenance", "stratum_chart"]

STRATEGIES = {
    Strategy.TOP_INFLUENCE.value: "Largest influence",
    Strategy.COVERAGE_CENTRIC.value: "Coverage-centric",
    Strategy.RANDOM.value: "Random",
    Strategy.BOTTOM_INFLUENCE.value: "Smallest influence",
    Strategy.LENGTH_STRATIFIED.value: "Random by length",
}
"""What a strategy is called."""


def provenance(coreset: Coreset, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Where a coreset comes from, as names and values."""
    run = workspace().run(coreset.run_id)
    dataset, model = manifest["dataset"], manifest["model"]
    pool = workspace().dataset(run.dataset_id).name
    alphabet = alphabet_name(Alphabet(dataset["alphabet"]))
    return {
        "Run": f"{run.name} ({run.id})",
        "Dataset": f"{pool}, {count(dataset['sequences'], 'sequence')}, {alphabet}",
        "Dataset content": Html(_short_hash(dataset["content_hash"])),
        "Model": f"{model['name']}, {model['parameters'] / 1e6:,.1f} million parameters",
        "Scores": Html(_short_hash(manifest["scores_sha256"])),
        "Members": Html(_short_hash(manifest["members_sha256"])),
        "Made": Html(time_html(coreset.created)),
        "Software": ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        "Id": coreset.id,
    }


def stratum_chart(manifest: Mapping[str, Any], name: str) -> None:
    """What each stratum held and gave; nothing for strategies without strata."""
    summary = manifest["summary"]
    strata = summary["strata"]
    if len(strata) < 2:
        return
    budget = StrataBudget(
        low=np.array([stratum["low"] for stratum in strata]),
        high=np.array([stratum["high"] for stratum in strata]),
        available=np.array([stratum["count"] for stratum in strata], dtype=np.int64),
        taken=np.array([stratum["budget"] for stratum in strata], dtype=np.int64),
        share=summary["coreset_size"] / len(strata),
        removed=summary["removed"],
    )
    rows = (f"{s['index'] + 1},{s['low']!r},{s['high']!r},{s['count']},{s['budget']}" for s in strata)
    table = "stratum,low,high,available,taken\n" + "\n".join(rows) + "\n"
    chart(
        strata_chart(budget, current_palette(), height=340),
        f"{name}-strata",
        data=table.encode,
        alt=f"Sequences available and taken in each of {len(strata)} strata, and "
        f"{count(summary['removed'], 'sequence')} removed by the hardest cut",
    )


def _short_hash(digest: str) -> str:
    return f'<span class="bp-hash" title="SHA-256 {digest}">SHA-256 {digest[:16]}</span>'
