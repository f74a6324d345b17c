"""From scores to a coreset: strategies, strata, seeded samples, over arrays or over a DuckDB view."""

from bioprune_core.selection.arrays import select, select_with_rule
from bioprune_core.selection.config import SelectionConfig, StrataKind, Strategy
from bioprune_core.selection.measures import LabelCoverage, Overlap, coverage, overlap
from bioprune_core.selection.planning import SelectionRule
from bioprune_core.selection.source import ScoreProfile
from bioprune_core.selection.summary import SelectionSummary, StratumCount
from bioprune_core.selection.tables import profile_scores, select_in_duckdb, select_sql, stratum_counts

__all__ = [
    "LabelCoverage",
    "Overlap",
    "ScoreProfile",
    "SelectionConfig",
    "SelectionRule",
    "SelectionSummary",
    "StrataKind",
    "Strategy",
    "StratumCount",
    "coverage",
    "overlap",
    "profile_scores",
    "select",
    "select_in_duckdb",
    "select_sql",
    "select_with_rule",
    "stratum_counts",
]
