"""Coreset sizes and seeds, as people write them and as they are understood."""

from collections.abc import Sequence

from app.formatting import count
from bioprune_core.errors import InputError

__all__ = ["LONGEST_LIST", "understood", "whole_numbers"]

LONGEST_LIST = 500
"""Letters of a field that `whole_numbers` reads."""


def whole_numbers(text: str, what: str) -> list[int]:
    """The numbers in "2,000 20000" or "2000, 20000".

    Raises:
        InputError: A part is no whole number, or its commas could as well separate numbers as group the
            thousands of one; names it.
    """
    found = []
    for part in text.replace(";", " ").replace(", ", " ").split():
        for number in _separated(part.rstrip(","), what):
            if not number.isdecimal() or number != str(int(number)):
                raise InputError(f"{what}: {number!r} is no whole number. Write them like 2000 20000.")
            found.append(int(number))
    return found


def _separated(part: str, what: str) -> list[str]:
    """The numbers of a part without blanks."""
    first, *rest = part.split(",")
    thousands = rest and first.isdecimal() and len(first) <= 3 and all(len(group) == 3 for group in rest)
    if not thousands or first.startswith("0"):
        return [first, *rest]
    one = first + "".join(rest)
    # No number but zero begins with one, so 2,000 is no list.
    if not any(group.startswith("0") for group in rest):
        listed = " and ".join([", ".join([first, *rest[:-1]]), rest[-1]])
        raise InputError(
            f"{what}: {part!r} can be read as {one} or as {listed}. Write {one}, or blanks between numbers."
        )
    return [one]


def understood(sizes: Sequence[int], seeds: Sequence[int]) -> str:
    """Sizes and seeds, at least one each, in a sentence: "B = 250 and 500; 5 seeds: 0 to 4."."""
    seeds = sorted(seeds)
    in_a_row = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    listed = f"{seeds[0]} to {seeds[-1]}" if in_a_row else _listed(seeds)
    return f"B = {_listed(sorted(sizes))}; {count(len(seeds), 'seed')}: {listed}."


def _listed(numbers: Sequence[int]) -> str:
    words = [f"{number:,}" for number in numbers]
    return " and ".join([*[", ".join(words[:-1])] * (len(words) > 1), words[-1]])
