"""Names to suggest that nothing has yet."""

from collections.abc import Iterable
from itertools import chain, count

__all__ = ["free_name"]


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """A name, numbered from 2 when something has it already; case is no difference."""
    known = {name.casefold() for name in taken}
    candidates = chain([wanted], (f"{wanted[:90]} {number}" for number in count(2)))
    return next(candidate for candidate in candidates if candidate.casefold() not in known)
