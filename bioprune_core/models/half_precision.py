"""A backbone that computes in bf16 where that is quick and in float32 where it matters."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
from torch import nn

from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.packed import packed_backbone, packs
from bioprune_core.models.state import FusedIntermediate

__all__ = ["bf16_backbone", "computes_in_bf16"]

# Instructions that multiply bf16, and the parts of the values of ONEDNN_MAX_CPU_ISA that allow them.
_INSTRUCTIONS = {
    "amx_bf16": ("AMX", "AVX10", "DEFAULT", "ALL"),
    "avx512_bf16": ("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AMX", "AVX10", "DEFAULT", "ALL"),
}


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 matrices in hardware.

    GPUs do since Ampere, and processors with AMX or AVX512-BF16, EPYC since its fourth generation. A
    processor does not where the variable ONEDNN_MAX_CPU_ISA of the library that multiplies keeps it from
    that, as AVX512_CORE does.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    has = torch.cpu.get_capabilities()
    return any(
        has.get(instructions, False) and any(name in limit for name in names)
        for instructions, names in _INSTRUCTIONS.items()
    )


@contextmanager
def bf16_backbone(model: MaskedLanguageModel) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Give the linear layers of the backbone bf16 weights for the duration of the block, without gradients.

    Residual stream, norms and embeddings stay float32, and so does the head, which is not part of the
    backbone: matrix products and attention alone are bf16. On a GPU products of float32 matrices are in TF32
    within the block, those of the head too. Any device can do it; without hardware for it, it is slower than
    float32.

    Yields:
        Makes the context in which the backbone is to be called, in inference mode.
    """
    modules = list(model.network.base_model.modules())
    layers = [m for m in modules if isinstance(m, nn.Linear)]
    with ExitStack() as stack:
        if model.device.type == "cuda":
            stack.enter_context(_tensor_cores())
        if model.device.type == "cuda" and packs(model.network):
            stack.enter_context(packed_backbone(model.network))
        elif model.device.type == "cpu" and _orders_weights():
            activated = [m for m in modules if isinstance(m, FusedIntermediate)]
            within = {each.dense for each in activated}
            for module in activated:
                stack.enter_context(_with_ordered_weight(module, module.dense, "gelu"))
            for layer in layers:
                if layer not in within:
                    stack.enter_context(_with_ordered_weight(layer, layer))
        else:
            stack.enter_context(_cast([p for each in layers for p in each.parameters()]))
        yield lambda: torch.autocast(model.device.type, dtype=torch.bfloat16, cache_enabled=False)


def _orders_weights() -> bool:
    """Whether the library that multiplies is there, which it is not on every platform, and knows bf16."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def _tensor_cores() -> Iterator[None]:
    """Let products of float32 matrices round their factors to 11 bits, where bf16 has 8."""
    matmul = torch.backends.cuda.matmul
    # What is as everywhere was inherited, and is to be inherited again.
    inherited = matmul.fp32_precision == getattr(torch.backends, "fp32_precision", None)
    before = "none" if inherited else matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@contextmanager
def _cast(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    kept = [parameter.data for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.data = parameter.data.to(torch.bfloat16)
        yield
    finally:
        for parameter, data in zip(parameters, kept, strict=True):
            parameter.data = data


@contextmanager
def _with_ordered_weight(module: nn.Module, layer: nn.Linear, activation: str = "none") -> Iterator[None]:
    """Let a module multiply with a layer's weight in the order of the processor's kernels, made once.

    Otherwise every product of bf16 matrices begins with putting its weight in that order. An exact GELU is
    computed with the product, before its rounding: 55 ms instead of 71 for 4,096 x 640 x 5,120 on 2 cores.

    Args:
        module: Whose output becomes the product.
        layer: Whose weight it is with.
        activation: "none" or "gelu".
    """
    weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().to(torch.bfloat16), None)
    bias = None if layer.bias is None else layer.bias.detach().to(torch.bfloat16)
    # The form of a GELU: by erf.
    form = "none" if activation == "gelu" else ""

    def forward(value: torch.Tensor) -> torch.Tensor:
        value = value.to(torch.bfloat16)
        product = torch.ops.mkldnn._linear_pointwise(value, weight, bias, activation, [], form)
        assert isinstance(product, torch.Tensor)
        return product

    module.forward = forward
    try:
        yield
    finally:
        del module.forward
