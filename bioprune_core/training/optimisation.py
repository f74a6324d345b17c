"""Optimiser, learning-rate schedule and number format."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from bioprune_core.errors import InputError
from bioprune_core.training.config import Decay, Precision, TrainingConfig

__all__ = ["autocast", "learning_rate", "make_optimiser", "uses_bf16"]

# As in ESM-2 (Lin et al. 2023, Science 379:1123, supplement).
_BETAS = (0.9, 0.98)
_EPSILON = 1e-8


def make_optimiser(network: torch.nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the parameters of a network; vectors (norms, biases) do not decay."""
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=_BETAS, eps=_EPSILON, fused=True)


def learning_rate(step: int, steps: int, config: TrainingConfig) -> float:
    """The learning rate of step 0..steps-1: a linear rise to the peak, then the decay.

    Neither the first nor the last step has a rate of zero: no step is wasted.

    Source: the inverse square root is that of arXiv 1706.03762, section 5.3.
    """
    warmup = math.ceil(config.warmup_fraction * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.decay is Decay.CONSTANT:
        return config.learning_rate
    if config.decay is Decay.INVERSE_SQUARE_ROOT:
        return config.learning_rate * math.sqrt(max(warmup, 1) / (step + 1))
    left = (steps - step) / (steps - warmup + (1 if warmup else 0))
    if config.decay is Decay.COSINE:
        return config.learning_rate * (1 - math.cos(math.pi * left)) / 2
    return config.learning_rate * left


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether matrix products are in bf16 at a precision on a device.

    Raises:
        InputError: bf16 is asked for on a device that does not have it.
    """
    available = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision is Precision.BF16 and not available:
        raise InputError(
            f"The training setting precision is bf16, but the device {device} does not compute in it; "
            "choose auto or float32, or a GPU of the Ampere generation or later."
        )
    return available and precision is not Precision.FLOAT32


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context of forward passes at a precision. Raises InputError as `uses_bf16` does."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if uses_bf16(precision, device) else nullcontext()
