"""The numbers of an open run: its table is opened once, and what a run never changes is asked only once.

Everything here is keyed by the run and the digest of its scores, so caches need no clearing: other scores
have another key. The digest alone would not do: another run may have the same scores, of sequences with other
ids and labels, or another map.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from app.queries.brush import Brush, CategoryColumn
from app.queries.composition import (
    Categories,
    CategoryShares,
    category_shares,
    largest_categories,
    length_quantiles,
    letters,
)
from app.queries.distribution import (
    Axis,
    Extent,
    Histogram,
    Summary,
    histogram,
    influence_extent,
    middle_range,
    strata_histogram,
    summary,
)
from app.queries.embedding_map import Density, MapExtent, density, map_extent, neighbours, sample_points
from app.queries.run_table import SAMPLE_ROWS, open_run_table
from app.queries.table import count_rows
from app.run_preparation import prepared_table
from app.services import workspace
from app.strata import Strata
from bioprune_core.alphabet import Alphabet
from bioprune_core.progress import Progress
from bioprune_core.selection import (
    ScoreProfile,
    SelectionConfig,
    SelectionSummary,
    Strategy,
    profile_scores,
    stratum_counts,
)
from bioprune_core.workspace import Run

__all__ = ["MOST_CATEGORIES", "OpenRun", "open_run"]

MOST_CATEGORIES = 2_000
"""Names of categories that a person can pick from; beyond them, one can still be brushed by a link."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A finished run, ready for questions. Made by `open_run`, for one run of a page.

    Args:
        run: The run.
        digest: SHA-256 of its scores.
        manifest: Of the run.
        alphabet: Of its sequences.
        connection: With the relations of `open_run_table`; temporary tables are this page run's own.
    """

    run: Run
    digest: str
    manifest: Mapping[str, Any]
    alphabet: Alphabet
    connection: duckdb.DuckDBPyConnection

    @property
    def extent(self) -> Extent:
        """The range of influence."""
        return self.kept("extent", lambda: influence_extent(self.connection))

    def middle_range(self, column: str) -> tuple[float, float]:
        """Between which values of a column nearly all sequences lie."""
        return self.kept("middle range", lambda: middle_range(self.connection, column), column)

    @property
    def map_extent(self) -> MapExtent | None:
        """The extent of the map; None for a run without one."""
        return self.kept("map extent", lambda: map_extent(self.connection))

    @property
    def density(self) -> Density | None:
        """Rows per cell of the map; None for a run without one."""
        extent = self.map_extent
        return None if extent is None else self.kept("density", lambda: density(self.connection, extent))

    @property
    def is_sampled(self) -> bool:
        """Whether pictures are drawn from a sample because the run is large."""
        return int(self.manifest["scores"]["rows"]) > SAMPLE_ROWS

    def count(self, brush: Brush) -> int:
        """How many sequences are brushed, exactly."""
        if not brush:
            return int(self.manifest["scores"]["rows"])
        return self.kept("count", lambda: count_rows(self.connection, brush.predicate()), brush)

    def histogram(self, axis: Axis, brush: Brush) -> Histogram:
        """Rows per bin of influence."""
        extent = self.extent
        return self.kept(
            "histogram",
            lambda: histogram(self.connection, extent, axis, selected=brush.predicate()),
            axis,
            brush,
        )

    def summary(self, brush: Brush) -> Summary:
        """Key figures of the brushed rows."""
        extent = self.extent
        return self.kept("summary", lambda: summary(self.connection, extent, brush.predicate()), brush)

    def points(self, brush: Brush, limit: int) -> pd.DataFrame:
        """Rows to draw on the map."""
        extent = self.extent
        return _large(
            self._key(brush, limit),
            lambda: sample_points(self.connection, extent, limit, brush.predicate()),
        )

    def neighbours(self, position: int) -> pd.DataFrame:
        """A sequence and those nearest to it on the map; empty where the run has no such position."""
        return self.kept("neighbours", lambda: neighbours(self.connection, position), position)

    def categories(self, column: CategoryColumn) -> Categories:
        """How many labels or clusters the run has, and the largest of them."""
        return self.kept(
            "categories", lambda: largest_categories(self.connection, column, MOST_CATEGORIES), column
        )

    def strata_counts(self, strata: Strata, brush: Brush) -> NDArray[np.int64]:
        """Brushed rows per stratum."""
        return self.kept(
            "strata",
            lambda: strata_histogram(self.connection, strata.inner_edges, brush.predicate()),
            strata,
            brush,
        )

    def category_shares(
        self, column: CategoryColumn, strata: Strata, brush: Brush, named: tuple[str | None, ...] = ()
    ) -> CategoryShares:
        """Brushed rows per stratum and category: those named, or the largest."""
        return self.kept(
            "shares",
            lambda: category_shares(
                self.connection, column, strata.inner_edges, selected=brush.predicate(), named=named
            ),
            column,
            strata,
            brush,
            named,
        )

    def lengths(self, strata: Strata, brush: Brush) -> pd.DataFrame:
        """Length quantiles per stratum."""
        return self.kept(
            "lengths",
            lambda: length_quantiles(self.connection, strata.inner_edges, brush.predicate()),
            strata,
            brush,
        )

    def letters(self, strata: Strata, brush: Brush) -> NDArray[np.float64]:
        """Letter shares per stratum, from a sample."""
        counts = self.strata_counts(strata, brush)
        return self.kept(
            "letters",
            lambda: letters(
                self.connection,
                strata.inner_edges,
                self.alphabet.residues,
                counts,
                selected=brush.predicate(),
            ),
            strata,
            brush,
        )

    def occupancy(self, config: SelectionConfig) -> SelectionSummary:
        """Counts and budgets per stratum of a selection.

        Raises:
            SelectionError: The scores do not allow it.
        """
        profile = self.profile(config)
        return self.kept(
            "occupancy", lambda: stratum_counts(self.connection, config, profile=profile), config
        )

    def profile(self, config: SelectionConfig) -> ScoreProfile:
        """What a selection needs to know of its scores: lengths for the length control, else influence."""
        by_length = config.strategy is Strategy.LENGTH_STRATIFIED
        return _large(
            self._key(by_length, config.adjusts_length),
            lambda: profile_scores(self.connection, config),
        )

    def kept(self, question: str, ask: Callable[[], Answer], *arguments: object) -> Answer:
        """The answer to a question on this run, from before where it was asked with these arguments."""
        return _small(self._key(question, *arguments), ask)

    def _key(self, *arguments: object) -> str:
        return repr((self.run.id, self.digest, *arguments))


def open_run(run: Run, report: Callable[[Progress], None]) -> OpenRun:
    """Open a finished run; the first time, its table is made.

    Args:
        run: A finished run.
        report: Told while the table is made, here or for somebody else.

    Raises:
        ConflictError: The run is not finished.
        StorageError: Its files are damaged, or the disk is full.
    """
    manifest = workspace().manifest(run)
    digest = str(manifest["scores"]["sha256"])
    table = prepared_table(run, digest, int(manifest["scores"]["rows"]), report)
    sequences = workspace().layout.dataset(run.dataset_id) / "sequences"
    connection = _connection(str(table), str(sequences)).cursor()
    return OpenRun(run, digest, manifest, Alphabet(manifest["dataset"]["alphabet"]), connection)


@st.cache_resource(max_entries=12, show_spinner=False)
def _connection(table: str, sequences: str) -> duckdb.DuckDBPyConnection:
    return open_run_table(Path(table), Path(sequences))


@st.cache_data(max_entries=512, show_spinner=False)
def _small(key: str, _ask: Callable[[], Answer]) -> Answer:  # noqa: ARG001 - what the cache goes by
    """Answers of at most a few hundred kB."""
    return _ask()


@st.cache_data(max_entries=24, show_spinner=False)
def _large(key: str, _ask: Callable[[], Answer]) -> Answer:  # noqa: ARG001 - what the cache goes by
    """Answers of several MB."""
    return _ask()
