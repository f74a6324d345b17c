"""A backbone that computes in bf16 where that is quick and in float32 where it matters."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

from bioprune_core.models.adapter import MaskedLanguageModel

__all__ = ["bf16_backbone", "computes_in_bf16"]

# Parts of the values of ONEDNN_MAX_CPU_ISA that allow AMX.
_WITH_AMX = ("AMX", "AVX10", "DEFAULT", "ALL")


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 matrices in hardware: GPUs since Ampere, processors with AMX.

    A processor with AMX does not where the variable ONEDNN_MAX_CPU_ISA of the library that multiplies keeps
    it from that, as AVX512_CORE does.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    if device.type != "cpu" or not any(name in limit for name in _WITH_AMX):
        return False
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


@contextmanager
def bf16_backbone(model: MaskedLanguageModel) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Give the linear layers of the backbone bf16 weights for the duration of the block.

    Residual stream, norms and embeddings stay float32, and so does the head, which is not part of the
    backbone: matrix products and attention alone are bf16. Any device can do it; without hardware for it,
    it is slower than float32.

    Yields:
        Makes the context in which the backbone is to be called.
    """
    layers = [m for m in model.network.base_model.modules() if isinstance(m, nn.Linear)]
    parameters = [p for layer in layers for p in (layer.weight, layer.bias) if p is not None]
    kept = [parameter.data for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.data = parameter.data.to(torch.bfloat16)
        yield lambda: torch.autocast(model.device.type, dtype=torch.bfloat16, cache_enabled=False)
    finally:
        for parameter, data in zip(parameters, kept, strict=True):
            parameter.data = data
