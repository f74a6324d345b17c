"""Selection from a DuckDB view of scores."""

import duckdb
import pyarrow as pa

from bioprune_core.selection import passes
from bioprune_core.selection.config import SelectionConfig, Strategy
from bioprune_core.selection.occupancy import measure_occupancy
from bioprune_core.selection.planning import choose_members, plan_selection
from bioprune_core.selection.rule_sql import rule_sql
from bioprune_core.selection.source import ScoreProfile
from bioprune_core.selection.summary import SelectionSummary
from bioprune_core.selection.table_source import TableScores

__all__ = ["profile_scores", "select_in_duckdb", "select_sql", "stratum_counts"]


def profile_scores(
    connection: duckdb.DuckDBPyConnection, config: SelectionConfig, source: str = "scores"
) -> ScoreProfile:
    """What the calls below need to know of the scores; cache it with the run to save them a pass.

    It depends on the configuration only in the column: lengths for `length_stratified`, else influence.
    """
    return passes.profile(_table(connection, config, source))


def stratum_counts(
    connection: duckdb.DuckDBPyConnection,
    config: SelectionConfig,
    source: str = "scores",
    profile: ScoreProfile | None = None,
) -> SelectionSummary:
    """Strata with their counts and budgets, and what the hardest cut removes, without choosing a row.

    Args:
        connection: Where `source` is.
        config: What to select.
        source: View with columns position, hash, influence, and tokens for `length_stratified`.
        profile: `profile_scores` of the same view.

    Raises:
        SelectionError: As for `select`.
    """
    return measure_occupancy(_table(connection, config, source), config, profile).summary


def select_sql(
    connection: duckdb.DuckDBPyConnection,
    config: SelectionConfig,
    source: str = "scores",
    profile: ScoreProfile | None = None,
) -> str:
    """A boolean SQL expression over position, hash and influence (or tokens) that is true for the selected
    rows.

    It holds for the rows of `source` wherever they are joined or filtered. Arguments as in `stratum_counts`.
    """
    table = _table(connection, config, source)
    return rule_sql(plan_selection(table, measure_occupancy(table, config, profile)), _column(config))


def select_in_duckdb(
    connection: duckdb.DuckDBPyConnection,
    config: SelectionConfig,
    source: str = "scores",
    profile: ScoreProfile | None = None,
) -> duckdb.DuckDBPyRelation:
    """The selected rows as a relation (position, hash), sorted by position. Arguments as in
    `stratum_counts`."""
    table = _table(connection, config, source)
    occupancy = measure_occupancy(table, config, profile)
    members = choose_members(table, occupancy)
    if members is not None:
        return connection.from_arrow(pa.table({"position": members.positions, "hash": members.hashes}))
    condition = rule_sql(plan_selection(table, occupancy), _column(config))
    return connection.sql(
        f"SELECT position, hash::UBIGINT AS hash FROM {source} WHERE {condition} ORDER BY position"
    )


def _table(connection: duckdb.DuckDBPyConnection, config: SelectionConfig, source: str) -> TableScores:
    return TableScores(connection, source, _column(config))


def _column(config: SelectionConfig) -> str:
    return "tokens" if config.strategy is Strategy.LENGTH_STRATIFIED else "influence"
