"""Things that are not whole: in the catalogue, while their configuration or manifest is gone or damaged.

A deletion takes the files out of sight first and the row out of the catalogue last; killed between the two,
it leaves a row that can be deleted again. So can a thing whose files were damaged. Until then it takes no
list, no form and not its own page with it: a list says `NOT_WHOLE` in its row, a form leaves it out and says
so, and so does its own page, where it is deleted. An experiment is whole without its manifest, which only
counts cells that can be counted again, and not without its plan, once that was made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.components import empty_state, note
from app.services import workspace
from bioprune_core.errors import ConflictError, StorageError
from bioprune_core.workspace import Coreset, Dataset, Experiment, Model, Run, State

__all__ = [
    "NOT_WHOLE",
    "Known",
    "config_of",
    "finished",
    "known_of",
    "manifest_of",
    "not_whole",
    "not_whole_view",
    "tell_left_out",
]

NOT_WHOLE = "not whole: delete it again"
"""What the row of such a thing says in a list."""

_Computed = TypeVar("_Computed", Dataset, Model, Run)


@dataclass(frozen=True, slots=True)
class Known:
    """What the files of a thing that a job computes say.

    Args:
        state: Its state.
        config: Its configuration.
        manifest: Its manifest; empty before it is finished.
    """

    state: State
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]


def known_of(record: Dataset | Model | Run) -> Known | None:
    """What is known of a dataset, model or run; None where it is not whole."""
    state = workspace().state(record)
    if isinstance(record, Model) and record.reference is not None:
        return Known(state, {}, {})  # Nothing of a model from elsewhere is kept here.
    config = config_of(record)
    manifest = manifest_of(record) if state is State.DONE else {}
    return None if config is None or manifest is None else Known(state, config, manifest)


def config_of(record: Dataset | Model | Run | Experiment) -> Mapping[str, Any] | None:
    """The configuration of a thing; None where it is not whole. A model from elsewhere has none either."""
    try:
        return workspace().config(record)
    except StorageError:
        return None


def manifest_of(record: Dataset | Model | Run | Coreset | Experiment) -> Mapping[str, Any] | None:
    """The manifest of a thing that was finished, as every coreset was; None where it is gone or damaged."""
    try:
        return workspace().manifest(record)
    except (ConflictError, StorageError):
        # A conflict: the file is missing. In a listing that was read before, the thing may be gone as well.
        return None


def finished(records: Iterable[_Computed]) -> list[_Computed]:
    """Those that are finished and whole, in their order."""
    return [each for each in records if (known := known_of(each)) and known.state is State.DONE]


def not_whole(records: Iterable[_Computed]) -> list[str]:
    """The names of those that are not whole, in their order."""
    return [each.name for each in records if known_of(each) is None]


def not_whole_view(what: str, where: str = "under Edit") -> None:
    """Say it in place of what cannot be read.

    Args:
        what: "coreset", "model", ...
        where: Where it is deleted; by default on the same page, which is its own.
    """
    empty_state(
        f"This {what} is not whole",
        f"Its files are gone or damaged, as after a deletion that was broken off. Delete it again {where}.",
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
