"""What a selection did, in numbers and in sentences."""

from dataclasses import asdict, dataclass
from typing import Any

from bioprune_core.selection.config import StrataKind, Strategy

__all__ = ["SelectionSummary", "StratumCount"]

# A bulk stratum that takes more of the budget than this makes a stratified sample close to a random one.
_DOMINANT_SHARE = 0.5
# By the name that a person knows, and by that of the setting.
_DALENIUS_HODGES = "by Dalenius and Hodges (cum-sqrt-f)"


@dataclass(frozen=True, slots=True)
class StratumCount:
    """One stratum of scores.

    Args:
        index: 0 for the smallest scores.
        low: Lower border, included.
        high: Upper border, excluded but for the last stratum.
        count: Sequences in it, after the hardest cut.
        budget: Sequences taken from it.
    """

    index: int
    low: float
    high: float
    count: int
    budget: int


@dataclass(frozen=True, slots=True)
class SelectionSummary:
    """Budgets per stratum and what was removed.

    Args:
        strategy: How was selected.
        strata_kind: Where the borders between strata lie.
        pool_size: N.
        coreset_size: B.
        removed: Sequences dropped by the hardest cut before stratification.
        removed_from: Smallest score among them; None where nothing was dropped.
        strata: Ascending in score; a single one for strategies without strata.
    """

    strategy: Strategy
    strata_kind: StrataKind
    pool_size: int
    coreset_size: int
    removed: int
    removed_from: float | None
    strata: tuple[StratumCount, ...]

    @property
    def warnings(self) -> list[str]:
        """Sentences on strata that do not do what a person may expect of them; empty when all is well."""
        if self.strategy not in (Strategy.COVERAGE_CENTRIC, Strategy.LENGTH_STRATIFIED):
            return []
        found = [self._one_stratum(), self._empty_strata(), self._bulk_stratum()]
        return [sentence for sentence in found if sentence is not None]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest, the warnings included."""
        value = asdict(self)
        return {
            **value,
            "strategy": self.strategy.value,
            "strata_kind": self.strata_kind.value,
            "strata": list(value["strata"]),
            "warnings": self.warnings,
        }

    def _one_stratum(self) -> str | None:
        if len(self.strata) > 1:
            return None
        return "There is only one stratum, so this is a random sample of what the hardest cut leaves."

    def _empty_strata(self) -> str | None:
        empty = sum(stratum.count == 0 for stratum in self.strata)
        if empty == 0:
            return None
        return (
            f"{empty:,} of {len(self.strata):,} strata are empty. "
            f"{self._advice('lower the number of strata')}"
        )

    def _bulk_stratum(self) -> str | None:
        if len(self.strata) < 2:
            return None
        bulk = max(self.strata, key=lambda stratum: stratum.budget)
        share = bulk.budget / self.coreset_size
        if share <= _DOMINANT_SHARE:
            return None
        return (
            f"Stratum {bulk.index + 1} of {len(self.strata):,} gives {share:.0%} of the coreset "
            f"({bulk.budget:,} of {self.coreset_size:,}), so the selection is close to a random one. "
            f"{self._advice('prune more')}"
        )

    def _advice(self, remedy: str) -> str:
        """A remedy together with what else would help and is not done already."""
        remedies = ["raise the hardest cut"] if self.strategy is Strategy.COVERAGE_CENTRIC else []
        remedies.append(remedy)
        if self.strata_kind is StrataKind.EQUAL_WIDTH:
            # Scores adjusted for length may be negative; those have no logarithm.
            logarithmic = "of equal width in log (log-width) or " if self.strata[0].low >= 0 else ""
            remedies.append(f"choose strata {logarithmic}{_DALENIUS_HODGES}")
        elif self.strata_kind is StrataKind.LOG_WIDTH:
            remedies.append(f"choose strata {_DALENIUS_HODGES}")
        *others, last = remedies
        sentence = f"{', '.join(others)}{',' if len(others) > 1 else ''} or {last}" if others else last
        return f"{sentence[0].upper()}{sentence[1:]}."
