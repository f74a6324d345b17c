"""Secondary structures as maps: dot-bracket with pseudoknots, bpseq, lists of pairs."""

from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError

__all__ = ["dot_bracket_map", "pair_map", "read_bpseq", "split_dot_bracket"]

_CLOSERS = dict(zip("([{<" + ascii_uppercase, ")]}>" + ascii_lowercase, strict=True))
_OPENERS = {closer: opener for opener, closer in _CLOSERS.items()}
_UNPAIRED = frozenset(".-_,:~")


def pair_map(length: int, pairs: Iterable[tuple[int, int]], where: str) -> NDArray[np.int8]:
    """The map of base pairs, int8, shape (L, L), symmetric, 1 for a pair.

    Args:
        length: L.
        pairs: Places from 0.
        where: File and record, for messages.

    Raises:
        InputError: A place is outside the sequence, or pairs with itself.
    """
    cells = np.zeros((length, length), dtype=np.int8)
    for left, right in pairs:
        if not (0 <= left < length and 0 <= right < length) or left == right:
            raise InputError(
                f"{where}: the pair of residues {left + 1} and {right + 1} is not within the sequence of "
                f"{length:,}. Check whether places count from 1."
            )
        cells[left, right] = cells[right, left] = 1
    return cells


def dot_bracket_map(structure: str, length: int, where: str) -> NDArray[np.int8]:
    """The map of a structure in dot-bracket notation; brackets ()[]{}<> and letters Aa to Zz may cross.

    Raises:
        InputError: Its length is not that of the sequence, a bracket has no partner, or a character is none.
    """
    if len(structure) != length:
        raise InputError(
            f"{where}: the structure has {len(structure):,} characters, the sequence {length:,} letters. "
            "They must be equal."
        )
    waiting: dict[str, list[int]] = {}
    pairs = []
    for place, character in enumerate(structure):
        if character in _UNPAIRED:
            continue
        if character in _CLOSERS:
            waiting.setdefault(character, []).append(place)
        elif character in _OPENERS:
            if not waiting.get(_OPENERS[character]):
                raise InputError(f"{where}: the {character!r} at place {place + 1} closes nothing.")
            pairs.append((waiting[_OPENERS[character]].pop(), place))
        else:
            raise InputError(
                f"{where}: {character!r} at place {place + 1} is no sign of dot-bracket notation."
            )
    if left := [places[-1] for places in waiting.values() if places]:
        raise InputError(f"{where}: the bracket at place {left[0] + 1} is never closed.")
    return pair_map(length, pairs, where)


def split_dot_bracket(text: str, name: str) -> list[tuple[str, str, str]]:
    """Header, sequence and structure of every record of a file with three lines a record.

    Raises:
        InputError: A record does not begin with '>' or lacks a line.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for number, start in enumerate(range(0, len(lines), 3), start=1):
        record = lines[start : start + 3]
        if len(record) < 3 or not record[0].startswith(">"):
            raise InputError(
                f"{name}, record {number}: a record has three lines, '>id', the sequence and the structure; "
                f"this one begins with {record[0][:40]!r} and has {len(record)}."
            )
        # Energies may follow the structure.
        found.append((record[0][1:].strip(), record[1], record[2].split()[0]))
    return found


def read_bpseq(text: str, name: str) -> tuple[str, list[tuple[int, int]]]:
    """Sequence and pairs, from 0, of a bpseq file.

    Raises:
        InputError: A line is not "place letter partner", places do not count from 1, or pairs disagree.
    """
    letters: list[str] = []
    partners: list[int] = []
    for line in text.splitlines():
        cells = line.split()
        if not cells or not cells[0].isdigit():  # comments and titles
            continue
        if len(cells) != 3 or int(cells[0]) != len(letters) + 1 or not cells[2].lstrip("-").isdigit():
            raise InputError(
                f"{name}: the line {line.strip()[:40]!r} is not the expected place {len(letters) + 1}, a "
                "letter and the place of the partner, or 0."
            )
        letters.append(cells[1])
        partners.append(int(cells[2]))
    pairs = []
    for place, partner in enumerate(partners):
        if partner <= 0:
            continue
        if partner > len(letters) or partners[partner - 1] != place + 1:
            raise InputError(
                f"{name}: residue {place + 1} names {partner} as partner, but not the other way round."
            )
        if partner > place + 1:
            pairs.append((place, partner - 1))
    return "".join(letters), pairs
