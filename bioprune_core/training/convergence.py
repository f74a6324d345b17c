"""Whether fine-tuning fitted the subset: the evidence of the method, and a verdict. Needs no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.storage import read_json, write_json

__all__ = ["Convergence", "PairedChange", "Verdict", "judge", "no_better_than_letters"]

# A change counts where it exceeds this many standard errors.
_SIGNIFICANT = 2.0
# A smaller one, as a share of the loss before, does not even where it is significant.
_LEAST_CHANGE = 0.001
# Of an exponential approach with a third of its fall in its second half, a quarter is still to come.
_LATE_SHARE = 1 / 3
_LEAST_STEPS = 10


class Verdict(StrEnum):
    """What the evidence says, by the rules of `judge`."""

    ADAPTED = "adapted"
    NOT_TUNED = "not-tuned"
    ROSE = "rose"
    COMPOSITION_ONLY = "composition-only"
    UNCHANGED = "unchanged"
    OVERFITTED = "overfitted"
    STILL_FALLING = "still-falling"


@dataclass(frozen=True, slots=True)
class PairedChange:
    """The masked loss of the same sequences under the same masks, before and after.

    Args:
        before: Mean over all targets, nats.
        after: Likewise.
        change: `after` minus `before`, nats.
        standard_error: Of `change`, sequences being what was sampled; 0 for a single one.
        sequences: How many.
    """

    before: float
    after: float
    change: float
    standard_error: float
    sequences: int

    @classmethod
    def of(
        cls,
        losses_before: NDArray[np.float64],
        losses_after: NDArray[np.float64],
        targets: NDArray[np.int64],
    ) -> "PairedChange":
        """The change between two measurements; the arrays have shape (sequences,).

        Source: W. G. Cochran, Sampling Techniques, 3rd edition, section 6.4 (error of a ratio).
        """
        before, after = (float(np.average(each, weights=targets)) for each in (losses_before, losses_after))
        change, count = after - before, len(targets)
        residuals = targets * (losses_after - losses_before - change)
        spread = float(np.sqrt((residuals**2).sum() * count / (count - 1))) if count > 1 else 0.0
        return cls(before, after, change, spread / float(targets.sum()), count)

    @property
    def rose(self) -> bool:
        """Whether the loss is higher by more than chance and 0.1 %."""
        return self.change > max(_SIGNIFICANT * self.standard_error, _LEAST_CHANGE * self.before)

    @property
    def fell(self) -> bool:
        """Whether the loss is lower by more than chance and 0.1 %."""
        return -self.change > max(_SIGNIFICANT * self.standard_error, _LEAST_CHANGE * self.before)


@dataclass(frozen=True, slots=True)
class Convergence:
    """The convergence evidence of a subset fine-tuning.

    Args:
        verdict: By the rules of `judge`.
        sentence: The verdict in words, with its figures and what to do.
        subset: Loss on the subset.
        held_out: Loss on the held-out slice; None without one.
        composition_entropy: Loss on the subset of a model that knows only the letters' frequencies, nats.
        gradient_norm_before: Mean over the subset of the L2 norm of g_i, the gradient of sequence i's masked
            loss with respect to the head's dense weight.
        gradient_norm_after: Likewise.
        mean_gradient_before: L2 norm of the mean of g_i over the subset.
        mean_gradient_after: Likewise; it shrinks as the head comes to fit the subset as a whole.
        loss_curve: Loss of the batch of every step, nats.
        learning_rates: Learning rate of every step.
    """

    verdict: Verdict
    sentence: str
    subset: PairedChange
    held_out: PairedChange | None
    composition_entropy: float
    gradient_norm_before: float
    gradient_norm_after: float
    mean_gradient_before: float
    mean_gradient_after: float
    loss_curve: list[float]
    learning_rates: list[float]

    @property
    def converged(self) -> bool:
        """Whether the adapted model may be relied on for influence as the method assumes."""
        return self.verdict is Verdict.ADAPTED

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Convergence":
        """The evidence that `to_json` wrote."""
        held_out = value["held_out"]
        return cls(
            **{
                **value,
                "verdict": Verdict(value["verdict"]),
                "subset": PairedChange(**value["subset"]),
                "held_out": None if held_out is None else PairedChange(**held_out),
            }
        )

    def write(self, path: Path) -> None:
        """Write the evidence as JSON, atomically."""
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> "Convergence":
        """Read what `write` wrote.

        Raises:
            StorageError: The file is missing or damaged.
        """
        return cls.from_json(read_json(path))


def judge(
    subset: PairedChange,
    held_out: PairedChange | None,
    composition_entropy: float,
    loss_curve: Sequence[float],
) -> tuple[Verdict, str]:
    """Give a verdict on a fine-tuning. The first rule that holds decides.

    0. not-tuned: it had no step, by choice.
    1. rose: the loss on the subset rose by more than two standard errors of the paired differences and 0.1 %.
    2. composition-only: the loss on the subset is not below the entropy of its letters.
    3. unchanged: it did not fall by as much.
    4. overfitted: the loss on the held-out slice rose by as much.
    5. still-falling: a straight line through the second half of the loss curve falls (by more than three
       standard errors of its slope) by over a third of the whole fall on the subset; needs 10 steps.
    6. adapted: none of these.

    Args:
        subset: Loss on the subset, before and after.
        held_out: Loss on the held-out slice, or None.
        composition_entropy: Of the subset's letters, nats.
        loss_curve: Loss of every step.

    Returns:
        The verdict, and a sentence with the figures and what to do.
    """
    if not loss_curve:
        return Verdict.NOT_TUNED, (
            f"The model was not fine-tuned, as asked for: the loss on the subset is {subset.before:.4f} nats "
            "per masked residue. Influence is that of the model as it was given."
        )
    moved = f"the loss on the subset went from {subset.before:.4f} to {subset.after:.4f}"
    if subset.rose:
        return Verdict.ROSE, (
            f"The fine-tuning did not converge: {moved}, it rose. Lower the learning rate and run it again."
        )
    if subset.after >= composition_entropy:
        return Verdict.COMPOSITION_ONLY, (
            f"The fine-tuning did not converge: {moved}, {no_better_than_letters(composition_entropy)}. "
            "Train for more epochs or start from a pretrained model."
        )
    if not subset.fell:
        return Verdict.UNCHANGED, (
            f"The model did not adapt to the subset: {moved}, no more than chance or 0.1 %. Train for more "
            "epochs or raise the learning rate, unless the model was pretrained on these very sequences."
        )
    if held_out is not None and held_out.rose:
        return Verdict.OVERFITTED, (
            f"The model learned the subset by heart: {moved}, but on held-out sequences it rose from "
            f"{held_out.before:.4f} to {held_out.after:.4f}. Train for fewer epochs or enlarge the subset."
        )
    if _late_fall(np.asarray(loss_curve, dtype=np.float64)) > _LATE_SHARE * -subset.change:
        return Verdict.STILL_FALLING, (
            f"The fine-tuning did not converge: {moved} and was still falling at the end. "
            "Train for more epochs."
        )
    elsewhere = (
        ""
        if held_out is None
        else f", on held-out sequences from {held_out.before:.4f} to {held_out.after:.4f}"
    )
    return Verdict.ADAPTED, f"The model adapted to the subset: {moved}{elsewhere} (nats per masked residue)."


def no_better_than_letters(composition_entropy: float) -> str:
    """What a loss that is not below the entropy of its letters, nats, says; the end of a sentence."""
    return f"which is no better than knowing how often each letter occurs ({composition_entropy:.4f})"


def _late_fall(curve: NDArray[np.float64]) -> float:
    """How far the fitted line falls over the second half of the curve; 0 where that may be chance."""
    if len(curve) < _LEAST_STEPS:
        return 0.0
    late = curve[len(curve) // 2 :]
    x = np.arange(len(late)) - (len(late) - 1) / 2
    slope = float((x * late).sum() / (x**2).sum())
    residual = late - late.mean() - slope * x
    error = float(np.sqrt((residual**2).sum() / (len(late) - 2) / (x**2).sum()))
    return -slope * len(late) if slope < -3 * error else 0.0
