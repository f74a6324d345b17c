"""The brush of the explorer, which the engine knows too, and its text for the address."""

import math
from collections.abc import Mapping
from dataclasses import replace

from bioprune_core.selection.brush import Brush, CategoryColumn, Predicate
from bioprune_core.selection.polygon import Vertices, simplify

__all__ = [
    "Brush",
    "CategoryColumn",
    "Predicate",
    "address_of",
    "brush_of",
    "category_of",
    "category_text",
    "parse_region",
    "region_text",
    "rounded",
]

_UNLABELLED = "\N{EMPTY SET}"
"""How a missing label is written in an address."""


def address_of(brush: Brush) -> dict[str, str]:
    """Query parameters that `brush_of` reads back; empty where nothing is brushed."""
    parameters: dict[str, str] = {}
    if brush.influence:
        parameters["influence"] = "..".join(f"{bound:.6g}" for bound in brush.influence)
    if brush.region:
        parameters["region"] = region_text(brush.region)
    if brush.category:
        column, value = brush.category
        parameters[column.value] = category_text(value)
    if brush.search:
        parameters["search"] = brush.search
    return parameters


def brush_of(parameters: Mapping[str, str]) -> Brush:
    """The brush an address describes; parts that cannot be read are taken as not brushed."""
    brush = Brush(
        influence=_parse_range(parameters.get("influence", "")),
        region=parse_region(parameters.get("region", "")),
        search=parameters.get("search", "").strip(),
    )
    for column in CategoryColumn:
        if value := parameters.get(column.value):
            return replace(brush, category=(column, category_of(value)))
    return brush


def rounded(brush: Brush) -> Brush:
    """The brush as its address gives it back, so that a link selects exactly the same rows."""
    return brush_of(address_of(brush))


def category_text(value: str | None) -> str:
    """A category for the address, a missing label too."""
    return _UNLABELLED if value is None else value


def category_of(text: str) -> str | None:
    """The category that `category_text` wrote."""
    return None if text == _UNLABELLED else text


def region_text(region: Vertices) -> str:
    """An outline for the address: "x,y" pairs to four digits, joined by spaces."""
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
