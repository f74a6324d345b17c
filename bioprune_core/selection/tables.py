"""Selection from a DuckDB view of scores."""

from dataclasses import replace

import duckdb
import pyarrow as pa

from bioprune_core.selection import passes
from bioprune_core.selection.config import SelectionConfig, Strategy
from bioprune_core.selection.length_adjustment import LengthAdjustment, fit_in_duckdb
from bioprune_core.selection.occupancy import measure_occupancy
from bioprune_core.selection.planning import choose_members, plan_selection
from bioprune_core.selection.rule_sql import rule_sql
from bioprune_core.selection.source import ScoreProfile
from bioprune_core.selection.summary import SelectionSummary
from bioprune_core.selection.table_source import TableScores, plain_name

__all__ = ["profile_scores", "score_sql", "select_in_duckdb", "select_sql", "stratum_counts"]


def profile_scores(
    connection: duckdb.DuckDBPyConnection, config: SelectionConfig, source: str = "scores"
) -> ScoreProfile:
    """What the calls below need to know of the scores; cache it with the run to save them a pass.

    It depends on the configuration only in the score: lengths for `length_stratified`, else influence,
    adjusted for length or not.
    """
    adjustment = _adjustment(connection, config, source, None)
    return replace(passes.profile(_table(connection, config, source, adjustment)), adjustment=adjustment)


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
        source: View with columns position, hash, influence, and tokens where length matters.
        profile: `profile_scores` of the same view.

    Raises:
        SelectionError: As for `select`.
    """
    adjustment = _adjustment(connection, config, source, profile)
    return measure_occupancy(_table(connection, config, source, adjustment), config, profile).summary


def score_sql(
    connection: duckdb.DuckDBPyConnection,
    config: SelectionConfig,
    source: str = "scores",
    profile: ScoreProfile | None = None,
) -> str:
    """The score that a configuration goes by, as a DuckDB expression over influence and tokens.

    Arguments as in `stratum_counts`.
    """
    return _score(config, _adjustment(connection, config, source, profile))


def select_sql(
    connection: duckdb.DuckDBPyConnection,
    config: SelectionConfig,
    source: str = "scores",
    profile: ScoreProfile | None = None,
) -> str:
    """A boolean SQL expression over position, hash, influence and tokens that is true for the selected rows.

    It holds for the rows of `source` wherever they are joined or filtered. Arguments as in `stratum_counts`.
    """
    adjustment = _adjustment(connection, config, source, profile)
    table = _table(connection, config, source, adjustment)
    rule = plan_selection(table, measure_occupancy(table, config, profile))
    return rule_sql(rule, _score(config, adjustment))


def select_in_duckdb(
    connection: duckdb.DuckDBPyConnection,
    config: SelectionConfig,
    source: str = "scores",
    profile: ScoreProfile | None = None,
) -> duckdb.DuckDBPyRelation:
    """The selected rows as a relation (position, hash), sorted by position. Arguments as in
    `stratum_counts`."""
    adjustment = _adjustment(connection, config, source, profile)
    table = _table(connection, config, source, adjustment)
    occupancy = measure_occupancy(table, config, profile)
    members = choose_members(table, occupancy)
    if members is not None:
        return connection.from_arrow(pa.table({"position": members.positions, "hash": members.hashes}))
    condition = rule_sql(plan_selection(table, occupancy), _score(config, adjustment))
    return connection.sql(
        f"SELECT position, hash::UBIGINT AS hash FROM {source} WHERE {condition} ORDER BY position"
    )


def _table(
    connection: duckdb.DuckDBPyConnection,
    config: SelectionConfig,
    source: str,
    adjustment: LengthAdjustment | None,
) -> TableScores:
    name = "lengths" if config.strategy is Strategy.LENGTH_STRATIFIED else "influence scores"
    return TableScores(connection, source, _score(config, adjustment), name)


def _adjustment(
    connection: duckdb.DuckDBPyConnection, config: SelectionConfig, source: str, profile: ScoreProfile | None
) -> LengthAdjustment | None:
    if not config.adjusts_length:
        return None
    if profile is not None and profile.adjustment is not None:
        return profile.adjustment
    return fit_in_duckdb(connection, plain_name(source))


def _score(config: SelectionConfig, adjustment: LengthAdjustment | None) -> str:
    if adjustment is not None:
        return adjustment.sql()
    return "tokens" if config.strategy is Strategy.LENGTH_STRATIFIED else "influence"
