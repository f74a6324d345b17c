"""What determines the scores of a run besides model, pool and subset. Imports no torch."""

import math
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self, TypeVar

from bioprune_core.errors import InputError

__all__ = ["InfluenceConfig", "Objective", "ParameterSet", "Precision", "TooLong"]

Choice = TypeVar("Choice", bound=StrEnum)


class Objective(StrEnum):
    """The per-sequence loss whose gradient is taken."""

    UNMASKED = "unmasked"
    """Cross entropy of predicting every real token (cls and eos included) of the sequence as it is."""


class ParameterSet(StrEnum):
    """The parameters under study."""

    HEAD = "head"
    """The dense weight of the language-model head."""


class Precision(StrEnum):
    """Number format of the forward pass; squares and sums are always float64."""

    FLOAT32 = "float32"


class TooLong(StrEnum):
    """What happens to a sequence with more residues than the model takes."""

    TRUNCATE = "truncate"
    """Its first residues are scored, as many as the model takes; such sequences are counted."""
    REFUSE = "refuse"
    """The stage ends with an error that names such sequences."""


@dataclass(frozen=True, slots=True)
class InfluenceConfig:
    """Configuration of a Fisher and score pass.

    With model, pool and subset it determines every byte of the scores on one kind of machine.

    Args:
        objective: The per-sequence loss.
        parameters: The parameters under study.
        damping: Added to every entry of the Fisher diagonal before dividing; > 0.
        token_budget: Tokens in a batch, pads included; > 0. A longer sequence is a batch of its own.
        shard_size: Sequences in a shard, the unit that is written and resumed; > 0.
        precision: Number format of the forward pass.
        too_long: What happens to a sequence longer than the model's limit.

    Raises:
        InputError: A value is out of bounds or not supported; names value, bound and what is supported.
    """

    objective: Objective = Objective.UNMASKED
    parameters: ParameterSet = ParameterSet.HEAD
    damping: float = 1e-8
    token_budget: int = 8192
    shard_size: int = 4096
    precision: Precision = Precision.FLOAT32
    too_long: TooLong = TooLong.TRUNCATE

    def __post_init__(self) -> None:
        for name, choices in (
            ("objective", Objective),
            ("parameters", ParameterSet),
            ("precision", Precision),
            ("too_long", TooLong),
        ):
            object.__setattr__(self, name, _choice(name, getattr(self, name), choices))
        if not (math.isfinite(self.damping) and self.damping > 0):
            raise InputError(f"damping must be a finite number above 0, such as 1e-8; got {self.damping}.")
        for name in ("token_budget", "shard_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} must be a whole number of at least 1; got {value!r}.")

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types; `from_json` gives it back."""
        return {
            name: value.value if isinstance(value, StrEnum) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; absent fields take their defaults.

        Raises:
            InputError: A field is unknown or its value not allowed.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(
                f"Unknown field of an influence configuration: {', '.join(unknown)}. "
                f"Known are {', '.join(sorted(known))}."
            )
        return cls(**values)


def _choice(name: str, value: str, choices: type[Choice]) -> Choice:
    try:
        return choices(value)
    except ValueError as error:
        supported = ", ".join(choice.value for choice in choices)
        raise InputError(f"{name} {value!r} is not available; supported: {supported}.") from error
