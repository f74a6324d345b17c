"""What a selection is asked to do: strategy, rates as exact decimals, strata and seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np

from bioprune_core.errors import SelectionError
from bioprune_core.fields import member

__all__ = ["MAXIMUM_STRATA", "Measure", "SelectionConfig", "StrataKind", "Strategy", "exact_decimal"]

MAXIMUM_STRATA = 10_000
_UNKNOWN = "Unknown {what} {value!r}. Choose one of: {choices}."


class Strategy(StrEnum):
    """How scores become a coreset."""

    TOP_INFLUENCE = "top_influence"
    COVERAGE_CENTRIC = "coverage_centric"
    RANDOM = "random"
    BOTTOM_INFLUENCE = "bottom_influence"
    LENGTH_STRATIFIED = "length_stratified"


class Measure(StrEnum):
    """Which score a strategy goes by."""

    INFLUENCE = "influence"
    """Self-influence as it is."""
    LENGTH_ADJUSTED = "length-adjusted"
    """The residual of its logarithm on the logarithm of the length: influence beyond what length explains."""


class StrataKind(StrEnum):
    """Where the borders between strata lie."""

    EQUAL_WIDTH = "equal-width"
    LOG_WIDTH = "log-width"
    CUM_SQRT_F = "cum-sqrt-f"
    QUANTILE = "quantile"


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Everything that, with the scores and their ids, determines a coreset.

    Rates given as floats are taken by their shortest decimal text, so 0.29 is 29/100 exactly and a count
    never depends on binary rounding.

    Args:
        strategy: A Strategy or its name.
        prune_rate: alpha, percent of the pool left out, 0 <= alpha < 100.
        hardest_cut: beta, percent of the pool with the largest scores dropped before stratification, 0 <=
            beta < 100. Only `coverage_centric` uses it; there beta <= alpha.
        strata: k, number of strata, 1 to 10,000. `coverage_centric` and `length_stratified` use it.
        strata_kind: A StrataKind or its name.
        seed: Non-negative; chooses the random order of the sequences.
        measure: A Measure or its name; `random` and `length_stratified` use none.

    Raises:
        SelectionError: A value is outside its bounds; names value, bound and remedy.
    """

    strategy: Strategy = Strategy.COVERAGE_CENTRIC
    prune_rate: Decimal = Decimal(90)
    hardest_cut: Decimal = Decimal(0)
    strata: int = 50
    strata_kind: StrataKind = StrataKind.EQUAL_WIDTH
    seed: int = 0
    measure: Measure = Measure.INFLUENCE

    def __post_init__(self) -> None:
        _set(self, "strategy", _member(Strategy, self.strategy, "strategy"))
        _set(self, "strata_kind", _member(StrataKind, self.strata_kind, "strata kind"))
        _set(self, "measure", _member(Measure, self.measure, "measure"))
        _set(self, "prune_rate", _percent(self.prune_rate, "prune rate"))
        _set(self, "hardest_cut", _percent(self.hardest_cut, "hardest cut"))
        _set(self, "strata", _integer(self.strata, "number of strata"))
        _set(self, "seed", _integer(self.seed, "seed"))
        if not 1 <= self.strata <= MAXIMUM_STRATA:
            raise SelectionError(
                f"The number of strata is {self.strata}; it must lie between 1 and {MAXIMUM_STRATA:,}. "
                "50 is a usual choice."
            )
        if self.seed < 0:
            raise SelectionError(f"The seed is {self.seed}; it must not be negative. Give 0 or more.")
        if self.strategy is Strategy.COVERAGE_CENTRIC and self.hardest_cut > self.prune_rate:
            kept = 100 - self.prune_rate
            raise SelectionError(
                f"The prune rate of {self.prune_rate} % keeps {kept} % of the pool, but the hardest cut of "
                f"{self.hardest_cut} % leaves less than that: (1 - alpha) + beta is "
                f"{kept + self.hardest_cut} %, more than 100 %. Set the hardest cut to at most "
                f"{self.prune_rate} % or raise the prune rate to at least {self.hardest_cut} %."
            )

    @property
    def adjusts_length(self) -> bool:
        """Whether rows are told apart by length-adjusted influence."""
        blind = (Strategy.RANDOM, Strategy.LENGTH_STRATIFIED)
        return self.measure is Measure.LENGTH_ADJUSTED and self.strategy not in blind

    def coreset_size(self, pool_size: int) -> int:
        """B = N - floor(alpha * N / 100), exactly; never 0 for a pool that is not empty."""
        return pool_size - _share(self.prune_rate, pool_size)

    def removed(self, pool_size: int) -> int:
        """floor(beta * N / 100), exactly: how many of the largest scores are dropped; 0 but for CCI."""
        if self.strategy is not Strategy.COVERAGE_CENTRIC:
            return 0
        return _share(self.hardest_cut, pool_size)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest; the rates as text, so that they stay exact."""
        return {
            "strategy": self.strategy.value,
            "prune_rate": str(self.prune_rate),
            "hardest_cut": str(self.hardest_cut),
            "strata": self.strata,
            "strata_kind": self.strata_kind.value,
            "seed": self.seed,
            "measure": self.measure.value,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "SelectionConfig":
        """The configuration that `to_json` wrote; fields left out have their defaults.

        Raises:
            SelectionError: A field is unknown or outside its bounds.
        """
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(value) - known)
        if unknown:
            raise SelectionError(
                f"Unknown selection parameter {', '.join(unknown)}. Known are {', '.join(sorted(known))}."
            )
        return cls(**value)


def exact_decimal(value: object, name: str) -> Decimal:
    """The decimal that a person meant: text and decimals as they are, floats by their shortest text.

    Raises:
        SelectionError: `value` is no finite number.
    """
    number: Decimal | None = None
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int | float | str | np.integer | np.floating) and not isinstance(value, bool):
        try:
            # str() of a float, also of a numpy one, is the shortest text that reads back as the same float.
            number = Decimal(str(value).strip())
        except InvalidOperation:
            number = None
    if number is None or not number.is_finite():
        raise SelectionError(
            f"The {name} is {value!r}, which is no number. Give a percentage such as 90 or 99.5."
        )
    return number


def _percent(value: object, name: str) -> Decimal:
    number = exact_decimal(value, name)
    if not 0 <= number < 100:
        remedy = "100 would leave nothing" if number >= 100 else "0 leaves everything in"
        raise SelectionError(f"The {name} is {number} %; it must be at least 0 and less than 100 ({remedy}).")
    # One text for one number, so that 90, 90.0 and 9E+1 give the same manifest.
    # Not by normalize(), which rounds to 28 digits.
    text = f"{number:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def _share(percent: Decimal, pool_size: int) -> int:
    # Fractions, because decimal arithmetic rounds to 28 digits.
    return int(Fraction(percent) * pool_size // 100)


def _integer(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SelectionError(f"The {name} is {value!r}; it must be a whole number.")
    return int(value)


def _member(kind: type[StrEnum], value: object, name: str) -> StrEnum:
    return member(kind, value, name, sentence=_UNKNOWN, error=SelectionError)


def _set(config: SelectionConfig, name: str, value: object) -> None:
    object.__setattr__(config, name, value)
