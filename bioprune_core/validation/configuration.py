"""What a validation trains and compares. Imports no torch."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.fields import refuse_unknown_fields
from bioprune_core.models.architectures import from_scratch

__all__ = ["ValidationConfig"]


@dataclass(frozen=True, slots=True)
class ValidationConfig:
    """Everything that, with the sequences, determines a validation.

    Args:
        models: K, models that are trained on random parts of the pool.
        sequences: n, sequences of the pool, drawn from the file.
        keep_share: Part of the pool that each model is trained on, in (0, 1).
        group_size: Sequences of a group whose loss is predicted.
        architecture: Of all models: "rna-fm", "esm-2" or "esm-c".
        scale: "tiny", "small", "base" or "full".
        base_steps: Optimiser steps of the common base model, on sequences of the file outside of the pool.
        steps: Optimiser steps of every model from there.
        learning_rate: Peak of every training.
        token_budget: Tokens of an optimiser step.
        damping: Of the Fisher diagonal.
        seed: Of the draws, weights, masks and batches.
        resamples: Bootstrap resamples of an interval.

    Raises:
        InputError: A value is out of its bounds.
        ModelError: There is no such architecture or scale.
    """

    models: int = 30
    sequences: int = 500
    keep_share: float = 0.7
    group_size: int = 10
    architecture: str = "rna-fm"
    scale: str = "tiny"
    base_steps: int = 300
    steps: int = 400
    learning_rate: float = 1e-3
    token_budget: int = 2_048
    damping: float = 1e-8
    seed: int = 0
    resamples: int = 1_000

    def __post_init__(self) -> None:
        from_scratch(self.architecture, self.scale)
        for name, least in (
            ("models", 4),
            ("sequences", 20),
            ("group_size", 1),
            ("base_steps", 1),
            ("steps", 1),
            ("token_budget", 16),
            ("seed", 0),
            ("resamples", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} is {value!r}; it must be a whole number of at least {least}.")
        if not 0 < self.keep_share < 1:
            raise InputError(f"keep_share is {self.keep_share}; it must lie between 0 and 1, such as 0.7.")
        for name in ("learning_rate", "damping"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} is {value}; it must be a finite number above 0.")
        if self.group_size * 2 > self.sequences:
            raise InputError(
                f"group_size is {self.group_size}; of {self.sequences} sequences it makes fewer than two "
                f"groups. Choose at most {self.sequences // 2}."
            )

    @property
    def kept(self) -> int:
        """Sequences that each model is trained on."""
        return min(self.sequences - 1, max(1, round(self.keep_share * self.sequences)))

    def digest(self, content_hash: str) -> str:
        """SHA-256 of what determines the models, and of the sequences: what their files are known by."""
        facts = {name: value for name, value in self.to_json().items() if name not in _NO_MATTER}
        text = json.dumps(facts | {"content": content_hash}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ValidationConfig":
        """The configuration that `to_json` wrote; absent fields take their defaults.

        Raises:
            InputError: A field is unknown or out of its bounds.
        """
        refuse_unknown_fields(cls, value, "validation settings")
        return cls(**value)


_NO_MATTER = ("models", "group_size", "resamples")
"""More models, other groups and other intervals use the models that are there."""
