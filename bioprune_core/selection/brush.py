"""What a person brushes on the views of a run, as one condition on its rows and as plain values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bioprune_core.errors import SelectionError
from bioprune_core.selection.expressions import number
from bioprune_core.selection.polygon import Vertices, inside_expression

__all__ = ["MOST_CORNERS", "Brush", "CategoryColumn", "Predicate"]

MOST_CORNERS = 1_000
"""Of an outline; one drawn by hand is simplified to 48."""

_ROWS = "scored"
"""The relation whose columns a predicate names."""


class CategoryColumn(StrEnum):
    """Columns whose values can be brushed one by one."""

    LABEL = "label"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Predicate:
    """A SQL condition with the columns it reads.

    Args:
        sql: A condition with `?` for its parameters.
        columns: Names of the columns it reads, of a relation called `scored`.
        parameters: Values of the parameters, in order.
    """

    sql: str = "true"
    columns: frozenset[str] = frozenset()
    parameters: tuple[Any, ...] = ()

    def and_(self, other: "Predicate") -> "Predicate":
        """Both conditions."""
        return Predicate(
            f"({self.sql}) AND ({other.sql})",
            self.columns | other.columns,
            (*self.parameters, *other.parameters),
        )


@dataclass(frozen=True, slots=True)
class Brush:
    """The brushes of all views together; a row is selected when every one of them holds it.

    Args:
        influence: Lowest and highest influence, both included; None for all.
        region: Outline drawn on the map, in its coordinates; None for all.
        category: A column and the value brushed in it (None: rows without a label); None for all.
        search: Part of an id, without regard to case; empty for all.
    """

    influence: tuple[float, float] | None = None
    region: Vertices | None = None
    category: tuple[CategoryColumn, str | None] | None = None
    search: str = ""

    def __bool__(self) -> bool:
        return bool(self.influence or self.region or self.category or self.search)

    def predicate(self) -> Predicate:
        """The condition on a run's rows; holds everywhere when nothing is brushed."""
        parts: list[Predicate] = []
        if self.influence:
            low, high = self.influence
            column = f"{_ROWS}.influence"
            sql = f"{column} >= {number(low)} AND {column} <= {number(high)}"
            parts.append(Predicate(sql, frozenset({"influence"})))
        if self.region:
            sql = inside_expression(f"{_ROWS}.x", f"{_ROWS}.y", self.region)
            parts.append(Predicate(sql, frozenset({"x", "y"})))
        if self.category:
            parts.append(_category_predicate(*self.category))
        if self.search:
            sql = f"contains(lower({_ROWS}.id), lower(?))"
            parts.append(Predicate(sql, frozenset({"id"}), (self.search,)))
        whole = Predicate()
        for part in parts:
            whole = part if whole == Predicate() else whole.and_(part)
        return whole

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest, of what is brushed alone; numbers read back as the same doubles."""
        value: dict[str, Any] = {}
        if self.influence:
            value["influence"] = list(self.influence)
        if self.region:
            value["region"] = [list(corner) for corner in self.region]
        if self.category:
            column, name = self.category
            value["category"] = {"column": column.value, "value": name}
        if self.search:
            value["search"] = self.search
        return value

    @classmethod
    def from_json(cls, value: object) -> "Brush":
        """The brush that `to_json` wrote.

        Raises:
            SelectionError: A part is unknown or cannot be read; names it.
        """
        parts = _mapping(value, "brush")
        unknown = sorted(set(parts) - set(_READERS))
        if unknown:
            raise SelectionError(
                f"The brush has an unknown part {', '.join(map(repr, unknown))}. "
                f"Known are {', '.join(_READERS)}."
            )
        return cls(**{name: _READERS[name](part) for name, part in parts.items() if part is not None})


def _category_predicate(column: CategoryColumn, value: str | None) -> Predicate:
    name = f"{_ROWS}.{column.value}"
    if value is None:
        return Predicate(f"{name} IS NULL", frozenset({column.value}))
    return Predicate(f"{name}::VARCHAR = ?", frozenset({column.value}), (value,))


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SelectionError(f"The {what} is {str(value)[:60]!r}; it must be an object with named parts.")
    return value


def _pair(value: object, what: str) -> tuple[float, float]:
    if isinstance(value, list | tuple) and len(value) == 2:
        numbers = [float(one) for one in value if isinstance(one, int | float) and math.isfinite(one)]
        if len(numbers) == 2:
            return numbers[0], numbers[1]
    raise SelectionError(f"The {what} is {str(value)[:60]!r}; it must be two finite numbers.")


def _read_influence(value: object) -> tuple[float, float]:
    low, high = _pair(value, "brushed range of influence")
    if low > high:
        raise SelectionError(
            f"The brushed range of influence goes from {low:g} down to {high:g}. Give the smaller one first."
        )
    return low, high


def _read_region(value: object) -> Vertices:
    if not isinstance(value, list | tuple) or not 3 <= len(value) <= MOST_CORNERS:
        raise SelectionError(
            f"The brushed outline must be a list of 3 to {MOST_CORNERS:,} corners, each two numbers."
        )
    return tuple(_pair(corner, "corner of the brushed outline") for corner in value)


def _read_category(value: object) -> tuple[CategoryColumn, str | None]:
    parts = _mapping(value, "brushed category")
    column, name = str(parts.get("column")), parts.get("value")
    if column not in list(CategoryColumn) or not isinstance(name, str | None):
        raise SelectionError(
            f"The brushed category is {str(dict(parts))[:60]!r}; it needs a column "
            f"({' or '.join(CategoryColumn)}) and a value in it, or none."
        )
    return CategoryColumn(column), name


def _read_search(value: object) -> str:
    if not isinstance(value, str):
        raise SelectionError(f"The searched part of an id is {str(value)[:60]!r}; it must be text.")
    return value


_READERS: Mapping[str, Any] = {
    "influence": _read_influence,
    "region": _read_region,
    "category": _read_category,
    "search": _read_search,
}
