"""Things that are not whole: in the catalogue, while their files are gone or damaged.

A deletion takes the files out of sight first and the row out of the catalogue last; killed between the two,
it leaves a row that can be deleted again. Until then that row must not take a list, a form or its own page
with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.components import empty_state, note
from app.services import workspace
from bioprune_core.errors import ConflictError, StorageError
from bioprune_core.workspace import Coreset, Dataset, Experiment, Model, Run

__all__ = ["NOT_WHOLE", "config_of", "manifest_of", "not_whole_view", "tell_left_out"]

NOT_WHOLE = "not whole: delete it again"
"""What the row of such a thing says in a list."""


def config_of(record: Dataset | Model | Run | Experiment) -> Mapping[str, Any] | None:
    """The configuration of a thing; None where it is not whole. A model from elsewhere has none either."""
    try:
        return workspace().config(record)
    except StorageError:
        return None


def manifest_of(record: Dataset | Model | Run | Coreset | Experiment) -> Mapping[str, Any] | None:
    """The manifest of a thing that was finished, as every coreset was; None where it is not whole."""
    try:
        return workspace().manifest(record)
    except (ConflictError, StorageError):
        # A conflict: the file is missing. In a listing that was read before, the thing may be gone as well.
        return None


def not_whole_view(what: str) -> None:
    """Say it on the thing's own page, in place of what cannot be read.

    Args:
        what: "coreset", "model", ...
    """
    empty_state(
        f"This {what} is not whole",
        "Its files are gone or damaged, as after a deletion that was broken off. Delete it again under Edit.",
    )


def tell_left_out(names: Sequence[str]) -> None:
    """Say which things a form does not offer, because they are not whole; nothing where there are none."""
    if not names:
        return
    one = len(names) == 1
    note(
        f"Left out, because {'it is' if one else 'they are'} not whole: {', '.join(names)}. "
        f"Delete {'it' if one else 'them'} again on {'its own page' if one else 'their own pages'}."
    )
