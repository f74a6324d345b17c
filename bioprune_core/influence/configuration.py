"""What determines the scores of a run besides model, pool and subset. Imports no torch."""

import math
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self, TypeVar

from bioprune_core.errors import InputError
from bioprune_core.fields import refuse_unknown_fields

__all__ = [
    "DEFAULT_TOKEN_BUDGET",
    "PAPER_CODE_TOKENS",
    "InfluenceConfig",
    "Objective",
    "ParameterSet",
    "Precision",
    "TooLong",
    "is_worth_keeping",
]

Choice = TypeVar("Choice", bound=StrEnum)


PAPER_CODE_TOKENS = 1_024
"""Tokens, pads included, to which the objective `paper-code` pads."""

DEFAULT_TOKEN_BUDGET = 8192
"""Tokens of a batch where no other number is given or found: a processor gains nothing by more."""

_LEAST_SHARE = 0.05

_OF_MASKS = ("masks", "mask_seed")
"""Fields that mean something under the objective `masked` only."""

_LATER = ("unscored_limit",)
"""Fields that came after runs had been made, whose digests stand: written only where not at their default."""


class Objective(StrEnum):
    """The per-sequence loss whose gradient is taken."""

    UNMASKED = "unmasked"
    """Cross entropy of predicting every real token (cls and eos included) of the sequence as it is."""
    MASKED = "masked"
    """Cross entropy at the targets of K seeded masks, the training objective itself; costs K forward passes.

    The mean over the masks of the mean over a mask's targets. A sequence without any unambiguous residue has
    no targets: its loss and gradient are 0."""
    PAPER_CODE = "paper-code"
    """As the authors' released code: the sequence padded to 1,024 tokens, pads attended to and in the loss.

    Longer sequences fall under the policy for sequences that are too long. RNA-FM costs one token more a
    sequence than `unmasked`; networks with rotary positions cost 1,024 tokens a sequence."""


class ParameterSet(StrEnum):
    """The parameters under study, where they have a name; others are given by the names of their layers."""

    HEAD = "head"
    """The dense weight of the language-model head."""
    ALL_LINEAR = "all-linear"
    """Weight and bias of every linear layer that the logits depend on; costs about a training step.

    A decoder that is tied to the embedding counts as a linear layer, through its use as decoder only."""


class Precision(StrEnum):
    """Number format of the backbone; the head is float32, on a GPU beside bf16 with products in TF32."""

    AUTO = "auto"
    """bf16 where the device computes in it and the other settings allow, float32 elsewhere."""
    FLOAT32 = "float32"
    BF16 = "bf16"
    """bf16 weights and matrix products, float32 residual stream. For the parameters `head`, and not for the
    objective `paper-code`, whose one pad carries a bias that bf16 rounds."""


class TooLong(StrEnum):
    """What happens to a sequence with more residues than the model takes."""

    TRUNCATE = "truncate"
    """Its first residues are scored, as many as the model takes; such sequences are counted."""
    REFUSE = "refuse"
    """The stage ends with an error that names such sequences."""
    WINDOW = "window"
    """It is cut into as few windows of near-equal length as the model takes, and all of them are scored as
    one sequence: their predicted tokens weigh the same, their gradients are summed before squaring."""


@dataclass(frozen=True, slots=True)
class InfluenceConfig:
    """Configuration of a Fisher and score pass.

    With model, pool and subset it determines every byte of the scores on one kind of machine.

    Args:
        objective: The per-sequence loss.
        parameters: The parameters under study: a named set, or linear layers by their names in the network,
            wildcards allowed, such as `("*.output.dense", "lm_head.*")`; of these weight and bias.
        damping: Added to every entry of the Fisher diagonal before dividing; > 0.
        token_budget: Tokens in a batch, pads included; > 0. A longer sequence is a batch of its own.
            None: found by trial on a GPU before the Fisher pass of a run, 8,192 on a processor.
        shard_size: Sequences in a shard, the unit that is written and resumed; > 0.
        precision: Number format of the backbone.
        too_long: What happens to a sequence longer than the model's limit.
        masks: K, the masks of a sequence under the objective `masked`; >= 1. One is noisy: the ranks of two
            runs of a single mask agree by about 0.5.
        mask_seed: Seed of the masks under the objective `masked`. Mask k depends on this seed, the sequence's
            hash and k alone.
        unscored_limit: Largest share of the pool, and of the subset, that may stay without a score because a
            loss, gradient, influence or embedding is NaN or infinite; 0 <= limit < 1. Above 0 one sequence
            always may.

    Raises:
        InputError: A value is out of bounds or not supported; names value, bound and what is supported.
    """

    objective: Objective = Objective.UNMASKED
    parameters: ParameterSet | tuple[str, ...] = ParameterSet.HEAD
    damping: float = 1e-8
    token_budget: int | None = None
    shard_size: int = 4096
    precision: Precision = Precision.AUTO
    too_long: TooLong = TooLong.TRUNCATE
    masks: int = 8
    mask_seed: int = 0
    unscored_limit: float = 0.001

    def __post_init__(self) -> None:
        for name, choices in (
            ("objective", Objective),
            ("precision", Precision),
            ("too_long", TooLong),
        ):
            object.__setattr__(self, name, _choice(name, getattr(self, name), choices))
        object.__setattr__(self, "parameters", _parameters(self.parameters))
        if not (math.isfinite(self.damping) and self.damping > 0):
            raise InputError(f"damping must be a finite number above 0, such as 1e-8; got {self.damping}.")
        if not 0 <= self.unscored_limit < 1:
            raise InputError(
                f"unscored_limit must be a share of at least 0 and below 1, such as 0.001; got "
                f"{self.unscored_limit}."
            )
        for name, least in (("token_budget", 1), ("shard_size", 1), ("masks", 1), ("mask_seed", 0)):
            value = getattr(self, name)
            if name == "token_budget" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}; got {value!r}.")
        if self.precision is Precision.BF16 and not self.allows_bf16:
            raise InputError(
                f"precision is {self.precision}, which is for the parameters {ParameterSet.HEAD} and not for "
                f"the objective {Objective.PAPER_CODE}. Choose {Precision.FLOAT32} or {Precision.AUTO}."
            )
        if self.too_long is TooLong.WINDOW and self.objective is Objective.PAPER_CODE:
            raise InputError(
                f"too_long is {self.too_long}, but the objective {self.objective} is that of code that "
                f"knows no windows. Choose {TooLong.TRUNCATE} or {TooLong.REFUSE}, or another objective."
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _OF_MASKS and self.objective is not Objective.MASKED and value != field.default:
                raise InputError(
                    f"{field.name} is {value}, but the objective {self.objective} draws no masks. Leave it "
                    f"out, or choose the objective {Objective.MASKED}."
                )

    @property
    def batch_tokens(self) -> int:
        """The token budget, or what suits a processor where none is given."""
        return DEFAULT_TOKEN_BUDGET if self.token_budget is None else self.token_budget

    @property
    def allows_bf16(self) -> bool:
        """Whether parameters and objective keep their ranks with a backbone in bf16."""
        return self.parameters is ParameterSet.HEAD and self.objective is not Objective.PAPER_CODE

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types, without what has no meaning; `from_json` gives it back.

        What an objective does not use is left out, so that a new field does not change the digest of a run
        that has nothing to do with it.
        """
        defaults = {field.name: field.default for field in fields(self)}
        return {
            name: value.value if isinstance(value, StrEnum) else _plain(value)
            for name, value in asdict(self).items()
            if (name not in _OF_MASKS or self.objective is Objective.MASKED)
            and not (name in _LATER and value == defaults[name])
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; absent fields take their defaults.

        Raises:
            InputError: A field is unknown or its value not allowed.
        """
        refuse_unknown_fields(cls, values, "fields of an influence configuration")
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(
                "An influence setting is of the wrong type, such as text where a number belongs. Correct it.",
                detail=str(error),
            ) from error


def is_worth_keeping(subset_size: int, pool_size: int) -> bool:
    """Whether the head's inputs of the subset would save a twentieth of the score pass."""
    return subset_size >= _LEAST_SHARE * pool_size


def _choice(name: str, value: str, choices: type[Choice]) -> Choice:
    try:
        return choices(value)
    except ValueError as error:
        supported = ", ".join(choice.value for choice in choices)
        raise InputError(f"{name} {value!r} is not available; supported: {supported}.") from error


def _parameters(value: object) -> ParameterSet | tuple[str, ...]:
    if isinstance(value, str):
        return _choice("parameters", value, ParameterSet)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(v, str) and v for v in value):
        raise InputError(
            f"parameters must be one of {', '.join(ParameterSet)}, or names of linear layers; got {value!r}."
        )
    return tuple(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
