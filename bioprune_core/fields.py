"""The fields of configurations that are read back from JSON."""

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from bioprune_core.errors import InputError

__all__ = ["is_number", "refuse_unknown_fields"]


def is_number(value: object) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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
