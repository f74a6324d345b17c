"""How much of a device's arithmetic a training uses."""

import time
from collections import deque
from typing import Any

import torch

from bioprune_core.models import MaskedLanguageModel
from bioprune_core.training.config import Precision
from bioprune_core.training.history import Curve
from bioprune_core.training.optimisation import uses_bf16

__all__ = ["Throughput", "peak_flops", "training_flops"]

_TERA = 1e12
# Rates are reported over this many steps: steady, and yet a change of the machine's load shows.
_WINDOW = 20
# Dense peaks in bf16 (tensor cores) and in float32 (without them: TF32 is off in torch unless it is asked
# for), from the vendor's data sheets. A name is matched by its beginning; the longer names stand first.
_PEAKS = (
    ("NVIDIA H200 NVL", 835.0, 60.0),
    ("NVIDIA H200", 989.4, 66.9),
    ("NVIDIA GH200", 989.4, 66.9),
    ("NVIDIA H100 PCIe", 756.0, 51.2),
    ("NVIDIA H100 NVL", 835.0, 60.0),
    ("NVIDIA H100", 989.4, 66.9),
    ("NVIDIA A100", 312.0, 19.5),
    ("NVIDIA L40S", 362.0, 91.6),
    ("NVIDIA L40", 181.0, 90.5),
    ("NVIDIA L4", 121.0, 30.3),
)


def training_flops(model: MaskedLanguageModel, tokens: int, squared_lengths: int) -> float:
    """Floating-point operations of a forward and backward pass that the model asks for.

    6 for every parameter and token, and 12 x layers x width for every pair of tokens of a sequence. Pads and
    whatever a computation repeats are not counted, so that no waste looks like work; embeddings are counted
    though they are looked up, and the head as if it ran at every token.

    Args:
        model: Its parameters, layers and width.
        tokens: Tokens without pads.
        squared_lengths: Sum over the sequences of their tokens squared.

    Source: arXiv 2204.02311, appendix B.
    """
    config: Any = model.network.config
    attention = 12 * config.num_hidden_layers * config.hidden_size
    return float(6 * model.parameters * tokens + attention * squared_lengths)


def peak_flops(device: torch.device, precision: Precision) -> float | None:
    """Operations a second that a device can do in the format of a precision; None where that is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    for beginning, bf16, float32 in _PEAKS:
        # A part of a card ("... MIG 1g.10gb") bears the name of the whole.
        if name.startswith(beginning) and "MIG" not in name:
            return (bf16 if uses_bf16(precision, device) else float32) * _TERA
    return None


class Throughput:
    """The rates of the last steps: with the wait for their batches, without what is done between steps.

    Args:
        model: On the device where it is trained.
        precision: Of the forward and backward pass.
        devices: How many train together.
    """

    def __init__(self, model: MaskedLanguageModel, precision: Precision, devices: int) -> None:
        self._model = model
        self._devices = devices
        self._peak = peak_flops(model.device, precision)
        self._seconds: deque[float] = deque(maxlen=_WINDOW)
        self._flops: deque[float] = deque(maxlen=_WINDOW)
        self._began = time.monotonic()

    def begin(self) -> None:
        """The next step begins."""
        self._began = time.monotonic()

    def end(self, tokens: int, squared_lengths: int) -> None:
        """The step is done; its size is as for `training_flops`."""
        self._seconds.append(time.monotonic() - self._began)
        self._flops.append(training_flops(self._model, tokens, squared_lengths))

    def metrics(self, curve: Curve) -> dict[str, float]:
        """tokens_per_s, sequences_per_s and, where the device's peak is known, model_flops_utilisation."""
        seconds, steps = max(sum(self._seconds), 1e-9), len(self._seconds)
        metrics = {
            "tokens_per_s": sum(curve.tokens[-steps:]) / seconds,
            "sequences_per_s": sum(curve.sequences[-steps:]) / seconds,
        }
        if self._peak is not None:
            metrics["model_flops_utilisation"] = sum(self._flops) / seconds / self._peak / self._devices
        return metrics
