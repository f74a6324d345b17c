"""How long-running functions say how far they are; who listens is the caller's affair."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Progress", "Reporter", "discard"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One message of a stage.

    Args:
        stage: Name of the stage, such as "ingest", "fine-tune", "fisher", "score", "map".
        done: Units of work finished so far, resumed ones included.
        total: Units of work in all; None where it cannot be known.
        unit: What is counted: "records", "sequences", "steps", "bytes".
        metrics: Current figures by name with the unit in the name where they have one ("loss",
            "learning_rate", "sequences_per_s").
    """

    stage: str
    done: int
    total: int | None
    unit: str
    metrics: Mapping[str, float] = field(default_factory=dict)


Reporter = Callable[[Progress], None]


def discard(_: Progress) -> None:
    """The reporter of a caller that does not want to know."""
