"""What a person has brushed, as one condition on a run's rows, and as text for the address."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.queries.polygon import Vertices, inside_expression, simplify
from app.queries.relation import COLUMNS, number

__all__ = ["Brush", "CategoryColumn", "Predicate", "parse_region", "region_text"]

_UNLABELLED = "\N{EMPTY SET}"
"""How a missing label is written in an address."""


class CategoryColumn(StrEnum):
    """Columns whose values can be brushed one by one."""

    LABEL = "label"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Predicate:
    """A SQL condition with the columns it reads.

    Args:
        sql: A condition with `?` for its parameters.
        columns: Names of the columns it reads.
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
        search: Part of an id; empty for all.
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
            column = COLUMNS["influence"]
            sql = f"{column} >= {number(low)} AND {column} <= {number(high)}"
            parts.append(Predicate(sql, frozenset({"influence"})))
        if self.region:
            sql = inside_expression(COLUMNS["x"], COLUMNS["y"], self.region)
            parts.append(Predicate(sql, frozenset({"x", "y"})))
        if self.category:
            parts.append(_category_predicate(*self.category))
        if self.search:
            sql = f"contains(lower({COLUMNS['id']}), lower(?))"
            parts.append(Predicate(sql, frozenset({"id"}), (self.search,)))
        whole = Predicate()
        for part in parts:
            whole = part if whole == Predicate() else whole.and_(part)
        return whole

    def to_address(self) -> dict[str, str]:
        """Query parameters that `from_address` reads back; empty where nothing is brushed."""
        parameters: dict[str, str] = {}
        if self.influence:
            parameters["influence"] = "..".join(f"{bound:.6g}" for bound in self.influence)
        if self.region:
            parameters["region"] = region_text(self.region)
        if self.category:
            column, value = self.category
            parameters[column.value] = _UNLABELLED if value is None else value
        if self.search:
            parameters["search"] = self.search
        return parameters

    @classmethod
    def from_address(cls, parameters: Mapping[str, str]) -> "Brush":
        """The brush an address describes; parts that cannot be read are taken as not brushed."""
        brush = cls(
            influence=_parse_range(parameters.get("influence", "")),
            region=parse_region(parameters.get("region", "")),
            search=parameters.get("search", "").strip(),
        )
        for column in CategoryColumn:
            if value := parameters.get(column.value):
                return replace(brush, category=(column, None if value == _UNLABELLED else value))
        return brush

    def rounded(self) -> "Brush":
        """The brush as its address gives it back, so that a link selects exactly the same rows."""
        return Brush.from_address(self.to_address())


def region_text(region: Vertices) -> str:
    """An outline for the address: "x,y" pairs to four decimals, joined by spaces."""
    return " ".join(f"{x:.4g},{y:.4g}" for x, y in simplify(region))


def parse_region(text: str) -> Vertices | None:
    """The outline written by `region_text`; None where the text is no outline of three corners or more."""
    try:
        pairs = [tuple(float(part) for part in pair.split(",")) for pair in text.split()]
        vertices = tuple((x, y) for x, y in pairs)
    except ValueError:
        return None
    finite = all(math.isfinite(bound) for vertex in vertices for bound in vertex)
    return vertices if finite and len(set(vertices)) >= 3 else None


def _parse_range(text: str) -> tuple[float, float] | None:
    try:
        low, high = (float(part) for part in text.split(".."))
    except ValueError:
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low <= high else None


def _category_predicate(column: CategoryColumn, value: str | None) -> Predicate:
    name = COLUMNS[column.value]
    if value is None:
        return Predicate(f"{name} IS NULL", frozenset({column.value}))
    return Predicate(f"{name}::VARCHAR = ?", frozenset({column.value}), (value,))
