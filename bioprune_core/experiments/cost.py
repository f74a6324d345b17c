"""What a plan will cost, from seconds that were measured."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.evaluation import Method
from bioprune_core.experiments.cells import Plan

__all__ = ["MeasuredSeconds", "PlanCost", "plan_cost"]


@dataclass(frozen=True, slots=True)
class MeasuredSeconds:
    """Speeds of one machine.

    Args:
        per_token: Of pretraining, seconds; above 0.
        per_evaluation: By task and protocol, seconds of one network.

    Raises:
        InputError: A duration is not above 0.
    """

    per_token: float
    per_evaluation: Mapping[tuple[str, Method], float]

    def __post_init__(self) -> None:
        named = {"a token": self.per_token} | {
            f"{task} ({protocol})": seconds for (task, protocol), seconds in self.per_evaluation.items()
        }
        for name, seconds in named.items():
            # Also false for NaN.
            if not seconds > 0:
                raise InputError(f"The measured seconds of {name} are {seconds}; they must be above 0.")


@dataclass(frozen=True, slots=True)
class PlanCost:
    """What a plan takes on one machine of the measured kind, one cell after another.

    Args:
        pretrainings: Networks to train; untrained ones cost nothing.
        tokens: That training goes through.
        pretraining_seconds: For them.
        evaluations: Measurements to make.
        evaluation_seconds: For those whose task and protocol were measured.
        unmeasured: Task, protocol and number of evaluations without a measurement; they are in no sum.
    """

    pretrainings: int
    tokens: float
    pretraining_seconds: float
    evaluations: int
    evaluation_seconds: float
    unmeasured: tuple[tuple[str, str, int], ...]

    @property
    def seconds(self) -> float:
        """Of all that was measured."""
        return self.pretraining_seconds + self.evaluation_seconds

    @property
    def sentence(self) -> str:
        """The cost in words."""
        text = (
            f"{self.pretrainings:,} networks to train ({self.tokens:,.0f} tokens, "
            f"{self.pretraining_seconds / 3600:.1f} h) and {self.evaluations:,} evaluations "
            f"({self.evaluation_seconds / 3600:.1f} h) on one machine of the kind that was measured."
        )
        if self.unmeasured:
            names = ", ".join(
                f"{count:,} of {task} ({protocol})" for task, protocol, count in self.unmeasured
            )
            text += f" Not in these hours, because their time was not measured: {names}."
        return text

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with the sum and the sentence."""
        return asdict(self) | {"seconds": self.seconds, "sentence": self.sentence}


def plan_cost(plan: Plan, measured: MeasuredSeconds) -> PlanCost:
    """The cost of a plan's cells; of what is left to do, give `plan.remaining(done)`.

    Args:
        plan: The cells.
        measured: Speeds of the machine.
    """
    trained = [cell for cell in plan.pretrainings if cell.trained]
    tokens = sum(cell.tokens for cell in trained)
    seconds = 0.0
    unmeasured: dict[tuple[str, Method], int] = {}
    for cell in plan.evaluations:
        kind = (cell.task, cell.protocol)
        if kind in measured.per_evaluation:
            seconds += measured.per_evaluation[kind]
        else:
            unmeasured[kind] = unmeasured.get(kind, 0) + 1
    return PlanCost(
        pretrainings=len(trained),
        tokens=tokens,
        pretraining_seconds=tokens * measured.per_token,
        evaluations=len(plan.evaluations),
        evaluation_seconds=seconds,
        unmeasured=tuple((task, protocol.value, count) for (task, protocol), count in unmeasured.items()),
    )
