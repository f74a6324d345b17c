"""Which diagnostics a run computes, and what they cost. Imports no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.fields import refuse_unknown_fields

__all__ = [
    "AFFORDABLE",
    "MOST_PARAMETERS",
    "MOST_TOKENS",
    "DiagnosticsConfig",
    "curvature_bytes",
    "diagnostics_share",
    "extra_sequences",
]

AFFORDABLE = 0.1
"""Diagnostics are computed unless asked otherwise where they make a run at most this much longer."""

MOST_PARAMETERS = 20_000
"""The full Fisher keeps a gradient of each of its sequences: 1,000 of 20,000 parameters take 160 MB."""

MOST_TOKENS = 8_192
"""Of a batch whose factors are formed in float64. They are held by the processor, whatever the scores'."""

_MOST_MEMBERS = 2_000

# What K-FAC is summed in and made of, its eigenvectors, and what becomes of a gradient.
_MATRICES = 12

# A training step costs about three forward passes: one forward and a backward of twice its cost.
_TRAINING = 3


@dataclass(frozen=True, slots=True)
class DiagnosticsConfig:
    """What is computed, beyond the scores, to judge them.

    Args:
        enabled: Whether anything of this is computed.
        sample_size: Sequences whose influence is computed under a second subset's Fisher too; 0 for none.
        curvature_sample: Sequences whose influence is computed under the full Fisher and under K-FAC; 0 for
            none.
        curvature_members: Most sequences of the subset that those two are estimated from, up to 2,000.

    Raises:
        InputError: A value is out of its bounds.
    """

    enabled: bool = True
    sample_size: int = 2_000
    curvature_sample: int = 300
    curvature_members: int = 1_000

    def __post_init__(self) -> None:
        if not isinstance(self.enabled, bool):
            raise InputError(f"The diagnostics setting enabled is {self.enabled!r}; it is true or false.")
        for name, least, most in (
            ("sample_size", 0, None),
            ("curvature_sample", 0, None),
            ("curvature_members", 1, _MOST_MEMBERS),
        ):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or value < least or (most is not None and value > most):
                bound = f"at least {least:,}" if most is None else f"{least:,} to {most:,}"
                raise InputError(
                    f"The diagnostics setting {name} is {value!r}; it is a whole number, {bound}."
                )

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "DiagnosticsConfig":
        """The configuration that `to_json` wrote; absent fields take their defaults.

        Raises:
            InputError: A field is unknown or out of its bounds.
        """
        refuse_unknown_fields(cls, value, "diagnostics settings")
        return cls(**value)


def extra_sequences(config: DiagnosticsConfig, pool: int, subset: int, held_out: int) -> int:
    """Sequences that the diagnostics score beside those of the run.

    Args:
        config: What would be computed, enabled or not.
        pool: N, sequences of the pool.
        subset: M.
        held_out: Sequences of the held-out slice.
    """
    extra = 0
    if config.sample_size and pool - subset - held_out > subset:
        extra += subset + min(config.sample_size, pool - 2 * subset - held_out)
    if config.curvature_sample:
        extra += min(config.curvature_members, subset) + min(config.curvature_sample, pool)
    return extra


def diagnostics_share(
    config: DiagnosticsConfig, pool: int, subset: int, held_out: int, epochs: float
) -> float:
    """How much longer the diagnostics make a run, as a share of it, by forward passes over sequences.

    Args:
        config, pool, subset, held_out: As in `extra_sequences`.
        epochs: Passes of the subset fine-tuning.
    """
    without = pool + subset + _TRAINING * epochs * subset + 2 * (subset + held_out)
    return extra_sequences(config, pool, subset, held_out) / without


def curvature_bytes(config: DiagnosticsConfig, pool: int, subset: int, width: int) -> int:
    """Memory for what the comparison with other forms of the Fisher holds in float64, beside a forward pass.

    The factors of the batch at hand and of the next, and a dozen matrices as large as a gradient. For the
    full Fisher the gradients of its members and of the sample as well, and while its eigenvalues are sought
    five matrices of members by members: products, eigenvectors, and three that LAPACK works in.

    Args:
        config: What would be computed.
        pool: N, sequences of the pool.
        subset: M.
        width: Of the dense layer, in and out.
    """
    if not (config.enabled and config.curvature_sample):
        return 0
    batch, parameters = MOST_TOKENS * 2 * width, width**2
    entries = 2 * batch + _MATRICES * parameters
    if parameters <= MOST_PARAMETERS:
        members, sample = min(config.curvature_members, subset), min(config.curvature_sample, pool)
        kept = (members + sample) * parameters
        entries = max(entries, batch + 5 * members**2) + kept
    return 8 * entries
