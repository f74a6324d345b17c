"""What readers hand on: one record an example, before classes are numbered and parts are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.places import Folder
from bioprune_core.tasks.task import Part, Task

__all__ = ["Found", "Reader", "Record"]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One example.

    Args:
        name: Its id, for messages.
        sequence: Normalised.
        target: A class's name, a number, or the array that `Examples.targets` asks for.
        partner: The second sequence, normalised.
    """

    name: str
    sequence: str
    target: Any
    partner: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a reader found in a folder.

    Args:
        parts: Records by part; an absent validation or test part is drawn from the others.
        layout: What was read, in words.
        notes: Sentences on what was left out and why.
        stand_in: For what original data these stand in; empty for the original.
    """

    parts: Mapping[Part, Sequence[Record]]
    layout: str
    notes: tuple[str, ...] = ()
    stand_in: str = ""


Reader = Callable[[Folder, Task, Normaliser], Found | None]
"""Reads one layout of a task's data; None where its files are not in the folder."""
