"""A saved coreset as a person reads it: strategy in words, provenance, what each stratum gave."""

from collections.abc import Mapping
from typing import Any

from app.brush_bar import brush_parts
from app.category_names import category_name
from app.charts.selection import strata_chart
from app.components import Html, KeyFigure, chart, key_figures
from app.formatting import alphabet_name, amount, count, time_html
from app.selection_views import strata_budget
from app.services import workspace
from app.theme import current_palette
from bioprune_core.alphabet import Alphabet
from bioprune_core.selection import PICKED, Brush, Strategy, StratumCount
from bioprune_core.workspace import Coreset

__all__ = ["STRATEGIES", "coreset_figures", "provenance", "stratum_chart"]

STRATEGIES = {
    Strategy.TOP_INFLUENCE.value: "Largest influence",
    Strategy.COVERAGE_CENTRIC.value: "Coverage-centric",
    Strategy.RANDOM.value: "Random",
    Strategy.BOTTOM_INFLUENCE.value: "Smallest influence",
    Strategy.LENGTH_STRATIFIED.value: "Random by length",
    PICKED: "Picked by hand",
}
"""What a strategy is called."""


def provenance(coreset: Coreset, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Where a coreset comes from, as names and values."""
    run = workspace().run(coreset.run_id)
    dataset, model = manifest["dataset"], manifest["model"]
    pool = workspace().dataset(run.dataset_id).name
    alphabet = alphabet_name(Alphabet(dataset["alphabet"]))
    brush = _picked_brush(manifest)
    picked = {} if brush is None else {"Picked": "; ".join(label for label, _ in brush_parts(brush))}
    return {
        **picked,
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


def coreset_figures(manifest: Mapping[str, Any]) -> None:
    """Key figures: how many, and by which rule."""
    selection = manifest["selection"]
    chosen, pool = manifest["sequences"], manifest["pool_sequences"]
    figures = [
        KeyFigure("Sequences", f"{chosen:,}", comment=f"of {pool:,}"),
        KeyFigure("Share of the pool", f"{100 * chosen / pool:.1f}", "%"),
        KeyFigure("Strategy", STRATEGIES[selection["strategy"]]),
    ]
    brush = _picked_brush(manifest)
    if brush is not None:
        key_figures([*figures, *_brush_figures(brush)])
        return
    figures.append(KeyFigure("Prune rate (alpha)", f"{selection['prune_rate']}", "%"))
    if selection["strategy"] == Strategy.COVERAGE_CENTRIC.value:
        figures += [
            KeyFigure("Hardest cut (beta)", f"{selection['hardest_cut']}", "%"),
            KeyFigure("Strata (k)", f"{selection['strata']:,}", comment=str(selection["strata_kind"])),
        ]
    key_figures([*figures, KeyFigure("Seed", f"{selection['seed']}")])


def _picked_brush(manifest: Mapping[str, Any]) -> Brush | None:
    """What was brushed for a subset picked by hand; None for a coreset of a strategy."""
    selection = manifest["selection"]
    return Brush.from_json(selection["brush"]) if selection["strategy"] == PICKED else None


def _brush_figures(brush: Brush) -> list[KeyFigure]:
    figures = []
    if brush.influence:
        low, high = brush.influence
        figures.append(KeyFigure("Influence", f"{amount(low)} to {amount(high)}"))
    if brush.region:
        figures.append(KeyFigure("Region of the map", f"{len(brush.region):,}", "corners"))
    if brush.category:
        column, value = brush.category
        figures.append(KeyFigure(column.value.capitalize(), category_name(value)))
    if brush.search:
        figures.append(KeyFigure("Id contains", brush.search))
    return figures


def stratum_chart(manifest: Mapping[str, Any], name: str) -> bool:
    """Draw what each stratum held and gave; gives False for strategies without strata."""
    summary = manifest["summary"]
    strata = [StratumCount(**stratum) for stratum in summary["strata"]]
    if len(strata) < 2:
        return False
    budget = strata_budget(strata, summary["coreset_size"], summary["removed"])
    rows = (f"{s.index + 1},{s.low!r},{s.high!r},{s.count},{s.budget}" for s in strata)
    table = "stratum,low,high,available,taken\n" + "\n".join(rows) + "\n"
    chart(
        strata_chart(budget, current_palette(), height=340),
        f"{name}-strata",
        data=table.encode,
        alt=f"Sequences available and taken in each of {len(strata)} strata, and "
        f"{count(summary['removed'], 'sequence')} removed by the hardest cut",
    )
    return True


def _short_hash(digest: str) -> str:
    return f'<span class="bp-hash" title="SHA-256 {digest}">SHA-256 {digest[:16]}</span>'
