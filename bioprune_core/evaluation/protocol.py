"""How a model is measured on a task: frozen, or fine-tuned. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.fields import member, refuse_unknown_fields, require
from bioprune_core.training.config import Precision

__all__ = [
    "FINE_TUNE_VERSION",
    "PROBE_VERSION",
    "FineTuneSettings",
    "Method",
    "Pooling",
    "ProbeSettings",
    "Protocol",
    "published_fine_tuning",
]

# Raised where the same settings come to give other figures: an experiment that is planned from then on
# measures its networks anew. 2: penalties beyond those asked for, contact maps without a threshold.
PROBE_VERSION = 2
# 2: predictions in float64, in which an AUC tells confident ones apart.
FINE_TUNE_VERSION = 2


class Method(StrEnum):
    """How a network is measured."""

    PROBE = "probe"
    """A small head on the features of the frozen backbone."""
    FINE_TUNE = "fine-tune"
    """A head and all weights of the network, trained together."""


class Pooling(StrEnum):
    """Which hidden state stands for a whole sequence."""

    MEAN = "mean"
    """Mean over the residues, without cls and eos."""
    CLS = "cls"
    """The state of the cls token."""
    LAYERS = "layers"
    """Means over the residues of the embedding and of every layer, side by side. The last layer of a trained
    network serves the prediction of letters: of 2,600 RNAs one of scale tiny told the type of 59.2 % by its
    last layer, where an untrained one told 61.1 %, and of 66.2 and 63.5 % by all layers."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """The head on frozen features.

    Args:
        pooling: What stands for a sequence.
        strengths: L2 penalties to choose from by the validation part: what is minimised is the mean loss of
            the training examples plus strength / 2 * |w|^2. Where the largest or smallest is the best,
            decades beyond are tried while they are better.
        sequences: Most sequences that a head for sequences is trained on, drawn by seed.
        residues: Most residues that a head for residues is trained on, drawn by seed.
        rank: Width of the projection under a head for pairs.
        cells: Most cells of one map in one training step of a head for pairs; more are sampled.
        epochs: Most passes of a head for pairs over the maps; the best by validation loss counts.
        patience: Passes without a better validation loss after which it stops.
        learning_rate: Of the head for pairs.
        precision: Number format of the frozen backbone. With bf16 its products and attention are in it: of
            RNAs of 103 tokens a network of scale tiny passes 100,000 tokens a second instead of 45,000 (one
            core with AMX).

    Raises:
        InputError: A value is out of its bounds.
    """

    pooling: Pooling = Pooling.MEAN
    strengths: tuple[float, ...] = (1.0, 0.1, 1e-2, 1e-3, 1e-4)
    sequences: int = 50_000
    residues: int = 50_000
    rank: int = 32
    cells: int = 4096
    epochs: int = 20
    patience: int = 3
    learning_rate: float = 3e-3
    precision: Precision = Precision.FLOAT32

    def __post_init__(self) -> None:
        pooling = member(Pooling, self.pooling, "evaluation setting pooling")
        object.__setattr__(self, "pooling", pooling)
        precision = member(Precision, self.precision, "evaluation setting precision")
        object.__setattr__(self, "precision", precision)
        object.__setattr__(self, "strengths", tuple(self.strengths))
        _require(
            len(self.strengths) > 0 and all(_positive(value) for value in self.strengths),
            "strengths",
            self.strengths,
            "must be at least one number, each above 0",
        )
        _at_least_one(self, ("sequences", "residues", "rank", "cells", "epochs", "patience"))
        _require(_positive(self.learning_rate), "learning_rate", self.learning_rate, "must be above 0")


@dataclass(frozen=True, slots=True)
class FineTuneSettings:
    """Training of a head together with the network.

    Args:
        pooling: What stands for a sequence, mean or cls. Under cls an RNA-FM has a dense layer and tanh
            before its head.
        learning_rate: Peak, of network and head alike.
        weight_decay: Decoupled, of matrices.
        batch_size: Examples of one optimiser step.
        token_budget: Most tokens of one forward pass; a step is divided under it. Maps go one by one.
        epochs: Most passes over the training part.
        warmup_fraction: Share of all steps over which the rate rises.
        evaluate_every_steps: Steps between two measurements on the validation part; None for once an epoch.
        patience: Measurements without a better one after which the training stops, once one was better than
            the first.
        gradient_clip: Largest L2 norm of the gradient.
        blocks: Residual blocks of the head for pairs.

    Raises:
        InputError: A value is out of its bounds.
    """

    pooling: Pooling = Pooling.CLS
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    batch_size: int = 32
    token_budget: int = 8192
    epochs: int = 30
    warmup_fraction: float = 0.1
    evaluate_every_steps: int | None = None
    patience: int = 5
    gradient_clip: float = 1.0
    blocks: int = 16

    def __post_init__(self) -> None:
        pooling = member(Pooling, self.pooling, "evaluation setting pooling")
        object.__setattr__(self, "pooling", pooling)
        _require(
            self.pooling is not Pooling.LAYERS,
            "pooling",
            self.pooling,
            "must be mean or cls where all weights are trained; layers is for the probe",
        )
        for name in ("learning_rate", "gradient_clip"):
            _require(_positive(getattr(self, name)), name, getattr(self, name), "must be above 0")
        _require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "weight_decay",
            self.weight_decay,
            "must be at least 0",
        )
        _require(0 <= self.warmup_fraction < 1, "warmup_fraction", self.warmup_fraction, "must be in [0, 1)")
        _at_least_one(self, ("batch_size", "token_budget", "epochs", "patience", "blocks"))
        if self.evaluate_every_steps is not None:
            _at_least_one(self, ("evaluate_every_steps",))


@dataclass(frozen=True, slots=True)
class Protocol:
    """How models are measured.

    Args:
        method: `PROBE` or `FINE_TUNE`.
        probe: Settings of the probe.
        fine_tune: Settings of fine-tuning.

    Raises:
        InputError: The method is neither.
    """

    method: Method = Method.PROBE
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    fine_tune: FineTuneSettings = field(default_factory=FineTuneSettings)

    def __post_init__(self) -> None:
        if self.method not in set(Method):
            raise InputError(
                f"The protocol's method is {str(self.method)!r}; it must be {Method.PROBE} (frozen network, "
                f"fast) or {Method.FINE_TUNE} (all weights)."
            )
        object.__setattr__(self, "method", Method(self.method))

    def to_json(self) -> dict[str, Any]:
        """The method and its own settings, as JSON values: what is not used does not tell protocols apart."""
        if self.method is Method.PROBE:
            settings = asdict(self.probe)
            return {
                "method": self.method.value,
                "probe": {**settings, "strengths": list(self.probe.strengths)},
            }
        return {"method": self.method.value, "fine_tune": asdict(self.fine_tune)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Protocol":
        """The protocol that `to_json` wrote; absent fields take their defaults.

        Raises:
            InputError: A field is unknown or out of its bounds.
        """
        refuse_unknown_fields(cls, value, "evaluation settings")
        probe, fine_tune = value.get("probe", {}), value.get("fine_tune", {})
        refuse_unknown_fields(ProbeSettings, probe, "settings of the probe")
        refuse_unknown_fields(FineTuneSettings, fine_tune, "settings of fine-tuning")
        return cls(value.get("method", Method.PROBE), ProbeSettings(**probe), FineTuneSettings(**fine_tune))


# Learning rate and examples a step, by task.
_PUBLISHED = {
    "rna-structure": (3e-5, 8),
    "contact-map": (3e-5, 8),
    "distance-map": (5e-5, 8),
    "rna-type": (5e-5, 32),
    "modification": (3e-5, 32),
    "crispr-on-target": (1e-5, 32),
}
_PUBLISHED_MAPS = ("rna-structure", "contact-map", "distance-map")


def published_fine_tuning(task_name: str) -> FineTuneSettings:
    """The settings with which a task of BEACON is fine-tuned there, for an RNA-FM of full size.

    What differs: the rate falls linearly for all, a hundredth of the steps are warm-up (there 50 steps, or
    one epoch of a hundred), and patience counts from the best measurement, not from the one before.

    Raises:
        InputError: The task is none of them.

    Source: BEACON (arXiv 2406.10391), scripts of its repository.
    """
    if task_name not in _PUBLISHED:
        raise InputError(
            f"BEACON publishes no settings for the task {task_name}; it does for {', '.join(_PUBLISHED)}. "
            "Give the settings of fine-tuning yourself."
        )
    rate, batch = _PUBLISHED[task_name]
    if task_name in _PUBLISHED_MAPS:
        return FineTuneSettings(
            learning_rate=rate, batch_size=batch, epochs=100, warmup_fraction=0.01, patience=60
        )
    return FineTuneSettings(
        learning_rate=rate, batch_size=batch, warmup_fraction=0.01, evaluate_every_steps=200, patience=20
    )


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _at_least_one(settings: object, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(settings, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(whole and value >= 1, name, value, "must be a whole number of at least 1")


def _require(holds: bool, name: str, value: object, bound: str) -> None:
    require(holds, f"evaluation setting {name}", value, bound)
