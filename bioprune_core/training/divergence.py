"""When a training has failed, told from its losses. Needs no torch."""

import math
from collections import deque
from collections.abc import Iterable, Sequence

__all__ = ["LossGrowth", "bad_end", "not_finite"]

# A training has diverged where its mean loss over so many steps lies that far above the lowest such mean, by
# nats and by standard errors of that mean. With clipped gradients the loss seldom ends as no number: the
# network forgets, and stays bad. Steps of sequences known by heart and of others, half at 0.3 and half at 2.7
# nats without any trend, rise by a nat within 10,000 steps in 92 of 100 simulated trainings, by twelve
# standard errors in none of 60.
_GROWTH_WINDOW, _GROWTH_NATS, _GROWTH_ERRORS = 50, 1.0, 12.0
# At the end: the mean over so many steps, and how far above an untrained network it may be. Steps of so few
# sequences that their losses differ, and a rate that moves nothing, stay within.
_END_WINDOW, _END_NATS = 10, 0.5


class LossGrowth:
    """Watches the mean loss of the last 50 steps, which may not rise far above the lowest so far.

    Args:
        losses: Of the steps done already.
    """

    def __init__(self, losses: Iterable[float] = ()) -> None:
        self._recent: deque[float] = deque(maxlen=_GROWTH_WINDOW)
        self._lowest, self._error = math.inf, 0.0
        for loss in losses:
            self.add(loss)

    def add(self, loss: float) -> str:
        """Take in the loss of a step; returns what is wrong, empty where nothing is."""
        self._recent.append(loss)
        if len(self._recent) < _GROWTH_WINDOW:
            return ""
        mean = math.fsum(self._recent) / _GROWTH_WINDOW
        if mean < self._lowest:
            variance = math.fsum((each - mean) ** 2 for each in self._recent) / _GROWTH_WINDOW
            self._lowest, self._error = mean, math.sqrt(variance / _GROWTH_WINDOW)
        if mean <= self._lowest + max(_GROWTH_NATS, _GROWTH_ERRORS * self._error):
            return ""
        return (
            f"the mean loss of the last {_GROWTH_WINDOW} steps is {mean:.3g}, where it has been "
            f"{self._lowest:.3g},"
        )


def not_finite(loss: float, gradient_norm: float) -> str:
    """What is wrong with a step's figures, empty where both are numbers."""
    for name, value in (("loss", loss), ("gradient norm", gradient_norm)):
        if not math.isfinite(value):
            return f"the {name} is {value}"
    return ""


def bad_end(losses: Sequence[float], validation: Sequence[float], vocabulary: int) -> str:
    """What is wrong with the end of a training, empty where nothing is.

    The loss on the validation sequences, or of the last steps where there are none, must not lie half a nat
    above that of the untrained network and of one that holds all tokens for equally likely. Fewer than ten
    steps tell nothing without validation: each may have predicted a token or two. A validation
    loss that rose while the training loss fell by half a nat is no divergence: the network learned its
    sequences by heart.

    Args:
        losses: Of every step; the first is that of the untrained network.
        validation: Measured before the first step and after, the last behind the last step; may be empty.
        vocabulary: Tokens that the network can predict.
    """
    if not losses or (len(losses) < _END_WINDOW and not validation):
        return ""
    # Of a few steps the later half: what went before belongs to the network as it was.
    last = losses[-min(_END_WINDOW, (len(losses) + 1) // 2) :]
    end = math.fsum(last) / len(last)
    by_heart = bool(validation) and end < losses[0] - _END_NATS
    before, after, which = losses[0], end, f"mean loss of the last {len(last)} steps"
    if validation:
        before, after, which = validation[0], validation[-1], "validation loss"
    if by_heart or after <= max(before, math.log(vocabulary)) + _END_NATS:
        return ""
    return f"the {which} is {after:.3g}, that of the untrained network was {before:.3g},"
