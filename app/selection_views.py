"""What a selection takes: budget per stratum, coverage against random, overlap with a saved coreset."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from app.charts.coverage import coverage_chart, influence_coverage_chart, length_coverage_chart
from app.charts.selection import StrataBudget, overlap_chart, strata_chart
from app.components import KeyFigure, chart, key_figures, note, plain, table
from app.formatting import amount, percent
from app.queries.brush import CategoryColumn
from app.queries.coverage import (
    CategoryCoverage,
    Overlap,
    category_coverage,
    influence_coverage,
    length_coverage,
    overlap,
)
from app.queries.relation import COLUMNS, bucket_expression, number
from app.queries.run_table import SAMPLE_ROWS
from app.run_data import OpenRun
from app.services import workspace
from app.theme import current_palette
from app.whole import manifest_of, tell_left_out
from bioprune_core.selection import SelectionConfig, SelectionSummary, Strategy, StratumCount, select_sql
from bioprune_core.workspace import Coreset

__all__ = ["coverage_view", "figures_row", "overlap_view", "strata_budget", "strata_view", "warning_notes"]

_CHOSEN, _RANDOM = "chosen", "random"
_NAMES = {"pool": "pool", _CHOSEN: "this selection", _RANDOM: "random, same size"}
_SHOWN = 14
_MOST_EXPORTED = 1_000_000
_STRATIFIED = (Strategy.COVERAGE_CENTRIC, Strategy.LENGTH_STRATIFIED)


def figures_row(config: SelectionConfig, summary: SelectionSummary) -> None:
    """Key figures of a selection."""
    size, pool = summary.coreset_size, summary.pool_size
    used = sum(stratum.budget > 0 for stratum in summary.strata)
    figures = [
        KeyFigure("In the coreset", f"{size:,}", comment=f"{percent(size / pool)} of {pool:,}"),
        KeyFigure("Left out", f"{pool - size:,}", comment=percent(1 - size / pool)),
    ]
    if config.strategy is Strategy.COVERAGE_CENTRIC:
        above = (
            ""
            if summary.removed_from is None
            else f"{_score_name(config)} from {amount(summary.removed_from)}"
        )
        figures.append(KeyFigure("Removed by the hardest cut", f"{summary.removed:,}", comment=above))
    if config.strategy in _STRATIFIED:
        bulk = max(stratum.budget for stratum in summary.strata)
        empty = sum(stratum.count == 0 for stratum in summary.strata)
        figures += [
            KeyFigure(
                "Strata that give", f"{used:,}", comment=f"of {len(summary.strata):,}, {empty:,} empty"
            ),
            KeyFigure("Largest share of one stratum", percent(bulk / size), comment=f"{bulk:,} sequences"),
        ]
    key_figures(figures)


def warning_notes(summary: SelectionSummary) -> None:
    """What a person may not expect of these strata."""
    for sentence in summary.warnings:
        st.warning(plain(sentence), icon=":material/warning:")


def strata_view(data: OpenRun, config: SelectionConfig, summary: SelectionSummary) -> None:
    """What is in and out: per stratum, or over influence for strategies without strata."""
    if config.strategy not in _STRATIFIED:
        _influence_view(data, config, summary)
        return
    budget = strata_budget(summary.strata, summary.coreset_size, summary.removed)
    frame = pd.DataFrame(
        {"low": budget.low, "high": budget.high, "available": budget.available, "taken": budget.taken}
    )
    chart(
        strata_chart(budget, current_palette(), score=_score_name(config)),
        f"{data.run.name} budget per stratum",
        data=lambda: frame.to_csv(index_label="stratum").encode(),
        alt=f"Sequences available and taken in each of {len(summary.strata)} strata",
    )


def strata_budget(strata: Sequence[StratumCount], coreset_size: int, removed: int) -> StrataBudget:
    """What a selection takes from its strata, as `strata_chart` draws it.

    Args:
        strata: At least one.
        coreset_size: Sequences selected in all.
        removed: Sequences that the hardest cut takes away.
    """
    return StrataBudget(
        low=np.array([stratum.low for stratum in strata]),
        high=np.array([stratum.high for stratum in strata]),
        available=np.array([stratum.count for stratum in strata], dtype=np.int64),
        taken=np.array([stratum.budget for stratum in strata], dtype=np.int64),
        share=coreset_size / len(strata),
        removed=removed,
    )


def _influence_view(data: OpenRun, config: SelectionConfig, summary: SelectionSummary) -> None:
    shares = {_CHOSEN: _shares(data, config, summary)[_CHOSEN]}
    extent = data.extent
    edges, counts = data.kept(
        "influence coverage", lambda: influence_coverage(data.connection, extent, shares), config
    )
    chart(
        influence_coverage_chart(edges, counts, _CHOSEN, current_palette()),
        f"{data.run.name} influence of the selection",
        data=lambda: (
            pd.DataFrame({"from": 10 ** edges[:-1], "to": 10 ** edges[1:], **counts})
            .to_csv(index=False)
            .encode()
        ),
        alt="Influence of the sequences that are in, before that of all",
    )


def coverage_view(data: OpenRun, config: SelectionConfig, summary: SelectionSummary) -> None:
    """What the selection keeps of labels, clusters and lengths, beside random of the same size."""
    selections = _shares(data, config, summary)
    columns = [CategoryColumn.LABEL, *([CategoryColumn.CLUSTER] if data.map_extent else [])]
    covered = {column: _covered(data, config, column, selections) for column in columns}
    edges, lengths = data.kept(
        "length coverage", lambda: length_coverage(data.connection, selections), config
    )
    _coverage_table(covered)
    if data.is_sampled:
        note(
            "Labels and clusters are counted over all sequences, of which as large a share of every stratum "
            "is drawn as the coreset has; lengths are expected values from a weighted sample of "
            f"{SAMPLE_ROWS:,} sequences. The coreset differs from both by chance. The budget per stratum "
            "above is exact."
        )
    choices = [column.value.capitalize() + "s" for column in columns]
    shown = st.segmented_control(
        "Coverage of", choices, default=choices[0], required=True, key="coverage", bind="query-params"
    )
    column = columns[choices.index(shown)]
    left, right = st.columns(2, gap="medium")
    with left:
        total, rows = covered[column].total, covered[column].largest.head(_SHOWN)
        chart(
            coverage_chart(rows, _CHOSEN, _RANDOM, current_palette(), name=shown),
            f"{data.run.name} coverage of {shown.lower()}",
            data=lambda: (
                category_coverage(data.connection, column, selections, _MOST_EXPORTED)
                .largest.to_csv(index=False)
                .encode()
            ),
            alt=f"Share of each of the {len(rows)} largest {shown.lower()} that is kept",
        )
        if total > _SHOWN:
            exported = "all" if total <= _MOST_EXPORTED else f"the {_MOST_EXPORTED:,} largest"
            note(f"The {_SHOWN} largest of {total:,}; the data has {exported}.")
    with right:
        chart(
            length_coverage_chart(edges, lengths, _NAMES, current_palette(), unit=data.alphabet.unit),
            f"{data.run.name} coverage of length",
            data=lambda: (
                pd.DataFrame({"from": edges[:-1], "to": edges[1:], **lengths}).to_csv(index=False).encode()
            ),
            alt="Lengths of the pool, of this selection and of a random one",
        )


def _covered(
    data: OpenRun, config: SelectionConfig, column: CategoryColumn, selections: dict[str, str]
) -> CategoryCoverage:
    return data.kept(
        "coverage", lambda: category_coverage(data.connection, column, selections, _SHOWN), column, config
    )


def _shares(data: OpenRun, config: SelectionConfig, summary: SelectionSummary) -> dict[str, str]:
    """The selection and its random control: whether a row is in, or on a large run how probably.

    The exact rule of a coreset takes several passes over all sequences, the probability none: within a
    stratum every sequence is as likely as the next.
    """
    random = SelectionConfig(Strategy.RANDOM, config.prune_rate, seed=config.seed)
    if not data.is_sampled:
        return {_CHOSEN: f"({_rule(data, config)})::INTEGER", _RANDOM: f"({_rule(data, random)})::INTEGER"}
    chance = number(summary.coreset_size / summary.pool_size)
    if config.strategy is Strategy.RANDOM:
        return {_CHOSEN: chance, _RANDOM: chance}
    if config.strategy not in _STRATIFIED:
        return {_CHOSEN: f"({_rule(data, config)})::INTEGER", _RANDOM: chance}
    given = [number(each.budget / each.count) if each.count else "0" for each in summary.strata]
    edges = [each.high for each in summary.strata[:-1]]
    score = _score_expression(data, config)
    chosen = bucket_expression(score, edges, given)
    if summary.removed_from is not None:
        chosen = f"CASE WHEN {score} >= {number(summary.removed_from)} THEN 0 ELSE {chosen} END"
    return {_CHOSEN: chosen, _RANDOM: chance}


def _score_name(config: SelectionConfig) -> str:
    """What the score of a selection is called in pictures."""
    if config.strategy is Strategy.LENGTH_STRATIFIED:
        return "length"
    return "length-adjusted influence" if config.adjusts_length else "influence"


def _score_expression(data: OpenRun, config: SelectionConfig) -> str:
    """The score of a selection over the run's table."""
    if config.adjusts_length:
        adjustment = data.profile(config).adjustment
        assert adjustment is not None
        return adjustment.sql(COLUMNS["influence"], COLUMNS["tokens"])
    return COLUMNS["tokens" if config.strategy is Strategy.LENGTH_STRATIFIED else "influence"]


def _rule(data: OpenRun, config: SelectionConfig) -> str:
    """The exact condition of a selection."""
    profile = data.profile(config)
    return data.kept("rule", lambda: select_sql(data.connection, config, profile=profile), config)


def _coverage_table(covered: Mapping[CategoryColumn, CategoryCoverage]) -> None:
    """How many categories are met at all, and how evenly, in two lines of figures."""
    rows: list[Sequence[str]] = []
    for column, found in covered.items():
        for name in (_CHOSEN, _RANDOM):
            met = found.met[name]
            rows.append(
                (
                    f"{column.value.capitalize()}s in {_NAMES[name]}",
                    f"{met:,}",
                    f"{found.total:,}",
                    f"{found.total - met:,}",
                    f"{found.effective[name]:,.1f}",
                )
            )
    table(["", "Met", "In the pool", "Lost", "Effective number"], rows, numbers=range(1, 5))
    note(
        "The effective number is the exponential of the Shannon entropy: how many equally large ones would "
        "be as diverse."
    )


def overlap_view(data: OpenRun, config: SelectionConfig, coresets: Sequence[Coreset]) -> None:
    """The overlap with one saved coreset of the same run, to choose."""
    names = {each.id: each.name for each in coresets if manifest_of(each) is not None}
    tell_left_out([each.name for each in coresets if each.id not in names])
    other = st.selectbox(
        "Compare with a saved coreset of this run",
        list(names),
        index=None,
        format_func=names.__getitem__,
        placeholder="Choose a coreset",
        key="compare",
        width=420,
    )
    if other is None:
        return
    members = workspace().layout.coreset(other) / "members.parquet"
    with st.spinner("Comparing"):
        condition = _rule(data, config)
        shared = data.kept("overlap", lambda: overlap(data.connection, condition, members), config, other)
    chart(
        overlap_chart(shared, "this selection", names[other], current_palette()),
        f"{data.run.name} overlap",
        data=lambda: _overlap_table(shared, names[other]).to_csv(index=False).encode(),
        alt=f"{shared.both:,} sequences in both",
    )
    note(f"{percent(shared.jaccard)} of all sequences in either are in both (Jaccard index).")


def _overlap_table(shared: Overlap, other: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sequences in": ["both", "this selection only", f"{other} only"],
            "count": [shared.both, shared.first_only, shared.second_only],
        }
    )
