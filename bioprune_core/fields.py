"""The fields of configurations that are read back from JSON."""

import math
from collections.abc import Iterable
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar

from bioprune_core.errors import InputError

__all__ = ["is_number", "member", "refuse_unknown_fields", "require"]

Member = TypeVar("Member", bound=StrEnum)

_NO_MEMBER = "The {what} is {value!r}; it must be one of {choices}."


def is_number(value: object) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def member(
    kind: type[Member],
    value: object,
    what: str,
    *,
    sentence: str = _NO_MEMBER,
    error: type[InputError] = InputError,
) -> Member:
    """The member of an enum that a value is, or names.

    Args:
        kind: The enum.
        value: As a caller or a file gave it.
        what: What the value is: "training setting decay".
        sentence: What is said where it is none; with `what`, `value` and `choices` in braces.
        error: Raised then.

    Raises:
        InputError: It is none; names those that there are.
    """
    try:
        return kind(str(value))
    except ValueError:
        raise error(sentence.format(what=what, value=value, choices=", ".join(kind))) from None


def require(holds: bool, what: str, value: object, bound: str) -> None:
    """Refuse a value that is out of its bounds.

    Args:
        holds: Whether it is within them.
        what: What the value is: "training setting epochs".
        value: Told as its text.
        bound: The bound and, where it helps, the usual value: "must be at least 0".

    Raises:
        InputError: It is out of them.
    """
    if not holds:
        raise InputError(f"The {what} is {value}; it {bound}.")


def refuse_unknown_fields(kind: type[Any], names: Iterable[str], what: str) -> None:
    """Check that `kind`, a dataclass, has fields of all these names.

    Args:
        kind: The configuration.
        names: What was found in a file or was given by a caller.
        what: What a field is called: "training settings".

    Raises:
        InputError: Some are unknown; names them and those that there are.
    """
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(names) - known):
        raise InputError(f"Unknown {what}: {', '.join(unknown)}. Known are {', '.join(sorted(known))}.")
