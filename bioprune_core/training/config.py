"""What a training run can be told; written with the run, so that it can be replayed."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.fields import member, refuse_unknown_fields, require

__all__ = ["Decay", "Precision", "TrainingConfig"]

# Their default is None.
_LATER = ("tokens", "device_tokens")
_WHOLE = (
    "steps",
    "token_budget",
    "length_multiple",
    "seed",
    "checkpoint_every_steps",
    "tokens",
    "device_tokens",
)


class Precision(StrEnum):
    """Number format of the forward and backward pass; weights and optimiser are always float32."""

    AUTO = "auto"
    """bf16 on a GPU that has it, float32 elsewhere: also on processors that have bf16."""
    FLOAT32 = "float32"
    BF16 = "bf16"
    """On a GPU that has it or a processor with AMX or AVX512-BF16; refused elsewhere."""


class Decay(StrEnum):
    """How the learning rate goes on from its peak after the warm-up."""

    LINEAR = "linear"
    COSINE = "cosine"
    INVERSE_SQUARE_ROOT = "inverse-square-root"
    """The peak times the root of warm-up steps over steps: never zero; the warm-up is a share of them."""
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Schedule, masks and numerics of one masked-LM training.

    Args:
        epochs: Passes over the sequences; may be fractional, and 0 leaves the model as it is. Ignored where
            `steps` or `tokens` is given.
        steps: Optimiser steps, or None to count in epochs or tokens.
        learning_rate: Peak learning rate, reached at the end of the warm-up.
        warmup_fraction: Share of the steps over which the rate rises linearly from zero, in [0, 1).
        decay: What the rate does after the warm-up.
        weight_decay: Decoupled weight decay of matrices; norms and biases have none.
        token_budget: Tokens of one optimiser step, pads included; a longer sequence is a step of its own.
        length_multiple: Batches are padded to multiples of this many tokens; 1 pads to the longest only.
            Measured at scale tiny on one core, lengths 30-400: 9.7, 9.6, 9.4, 8.8 and 7.4 thousand tokens
            a second of processor time at 1, 8, 16, 32 and 64.
        mask_rate: Share of the residues that are predicted.
        seed: Seed of masks, batch order and dropout.
        gradient_clip: Largest L2 norm of the gradient; longer ones are scaled down to it.
        precision: Number format of forward and backward.
        checkpoint_every_steps: Steps between two checkpoints; the most that an interruption can cost.
        tokens: Tokens to train on in all, pads not counted: as many steps as it takes to reach them. None to
            count in epochs or steps.
        device_tokens: Tokens of one forward and backward pass on one device, pads included; a step of more
            is done in several whose gradients are added, which changes the result by rounding only. None for
            a whole step at once.

    Raises:
        InputError: A value is out of its bounds; names it, the bound and the usual value.
    """

    epochs: float = 1.0
    steps: int | None = None
    learning_rate: float = 1e-4
    warmup_fraction: float = 0.1
    decay: Decay = Decay.LINEAR
    weight_decay: float = 0.01
    token_budget: int = 8192
    length_multiple: int = 8
    mask_rate: float = 0.15
    seed: int = 0
    gradient_clip: float = 1.0
    precision: Precision = Precision.AUTO
    checkpoint_every_steps: int = 100
    tokens: int | None = None
    device_tokens: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "decay", member(Decay, self.decay, "training setting decay"))
        precision = member(Precision, self.precision, "training setting precision")
        object.__setattr__(self, "precision", precision)
        for name in _WHOLE:
            value = getattr(self, name)
            whole = value is None or (isinstance(value, int) and not isinstance(value, bool))
            _require(whole, name, value, "must be a whole number, without a decimal point")
        for name in ("learning_rate", "gradient_clip"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value > 0, name, value, "must be above 0")
        _require(math.isfinite(self.epochs) and self.epochs >= 0, "epochs", self.epochs, "must be at least 0")
        if self.steps is not None:
            _require(self.steps >= 1, "steps", self.steps, "must be at least 1, or None to count in epochs")
            _require(self.tokens is None, "tokens", self.tokens, f"must be None where steps is {self.steps}")
        for name in ("tokens", "device_tokens"):
            limit = getattr(self, name)
            _require(limit is None or limit >= 1, name, limit, "must be at least 1, or None")
        for name in ("token_budget", "length_multiple", "checkpoint_every_steps"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        _require(0 <= self.warmup_fraction < 1, "warmup_fraction", self.warmup_fraction, "must be in [0, 1)")
        _require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "weight_decay",
            self.weight_decay,
            "must be at least 0",
        )
        _require(0 < self.mask_rate <= 1, "mask_rate", self.mask_rate, "must be above 0 and at most 1")
        _require(0 <= self.seed < 1 << 63, "seed", self.seed, "must be in [0, 2^63)")

    def passes(self, sequences: int, mean_tokens: float) -> float:
        """Passes over so many sequences that the training is as long as, whatever it is counted in.

        Args:
            sequences: To train on, >= 1.
            mean_tokens: Of a sequence, cls and eos included.
        """
        if self.steps is not None:
            # A batch holds whole sequences.
            return self.steps * max(1.0, self.token_budget // mean_tokens) / sequences
        return self.epochs if self.tokens is None else self.tokens / (sequences * mean_tokens)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; `from_json` gives the configuration back.

        Fields that came later are left out at their default: what was made before keeps its digest.
        """
        return {
            name: value for name, value in asdict(self).items() if name not in _LATER or value is not None
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TrainingConfig":
        """The configuration that `to_json` wrote; absent fields take their defaults.

        Raises:
            InputError: A field is unknown or out of its bounds.
        """
        refuse_unknown_fields(cls, value, "training settings")
        try:
            return cls(**value)
        except TypeError as error:
            raise InputError(
                f"A training setting has another type than it must have: {dict(value)}.", detail=str(error)
            ) from error


def _require(holds: bool, name: str, value: object, bound: str) -> None:
    require(holds, f"training setting {name}", value, bound)
