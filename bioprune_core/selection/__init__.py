"""From scores to a coreset: strategies, strata, seeded samples, over arrays or over a DuckDB view."""

from bioprune_core.selection.arrays import select, select_with_rule
from bioprune_core.selection.brush import Brush, CategoryColumn
from bioprune_core.selection.config import Measure, SelectionConfig, StrataKind, Strategy
from bioprune_core.selection.length_adjustment import LengthAdjustment, fit_length_adjustment
from bioprune_core.selection.picked import (
    PICKED,
    PickedSelection,
    Selection,
    pick_in_duckdb,
    selection_from_json,
)
from bioprune_core.selection.planning import SelectionRule
from bioprune_core.selection.source import ScoreProfile
from bioprune_core.selection.summary import SelectionSummary, StratumCount
from bioprune_core.selection.tables import (
    profile_scores,
    score_sql,
    select_in_duckdb,
    select_sql,
    stratum_counts,
)

__all__ = [
    "PICKED",
    "Brush",
    "CategoryColumn",
    "LengthAdjustment",
    "Measure",
    "PickedSelection",
    "ScoreProfile",
    "Selection",
    "SelectionConfig",
    "SelectionRule",
    "SelectionSummary",
    "StrataKind",
    "Strategy",
    "StratumCount",
    "fit_length_adjustment",
    "pick_in_duckdb",
    "profile_scores",
    "score_sql",
    "select",
    "select_in_duckdb",
    "select_sql",
    "select_with_rule",
    "selection_from_json",
    "stratum_counts",
]
