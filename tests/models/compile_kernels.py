"""Compiles every kernel for a generation of GPUs, which needs none: python compile_kernels.py 90."""

import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from bioprune_core.models import kernels

HALF, FLOAT, NUMBER = "*bf16", "*fp32", "i32"
LAUNCHES = [
    (
        kernels._norm,
        {
            "residual": FLOAT,
            "shift": FLOAT,
            "weight": FLOAT,
            "bias": FLOAT,
            "normed": HALF,
            "width": NUMBER,
            "epsilon": "fp32",
        },
        {"has_weight": True, "has_bias": True, "block": 1024},
    ),
    (kernels._gelu, {"states": HALF, "bias": FLOAT, "width": NUMBER}, {"block": 1024}),
    (kernels._gate, {"both": HALF, "gated": HALF, "width": NUMBER}, {"block": 1024}),
    (
        kernels._rotate,
        {
            "qkv": HALF,
            "positions": "*i64",
            "cosine": FLOAT,
            "sine": FLOAT,
            "query_weight": FLOAT,
            "key_weight": FLOAT,
            "heads": NUMBER,
            "half": NUMBER,
            "epsilon": "fp32",
        },
        {"normed": True, "head_block": 32, "half_block": 32},
    ),
    *(
        (
            kernels._attention,
            {
                "qkv": HALF,
                "attended": HALF,
                "offsets": "*i32",
                "blocks": NUMBER,
                "heads": NUMBER,
                "width": NUMBER,
                "scale": "fp32",
            },
            {"queries": 64, "keys": 64, "block": block},
        )
        for block in (32, 128)
    ),
    (
        kernels._row_squares,
        {
            "gradients": FLOAT,
            "scale": FLOAT,
            "plain": FLOAT,
            "scaled": FLOAT,
            "height": NUMBER,
            "width": NUMBER,
        },
        {"block": 1024},
    ),
]


def main() -> None:
    target = GPUTarget("cuda", int(sys.argv[1]), 32)
    for kernel, types, constants in LAUNCHES:
        signature = {**types, **dict.fromkeys(constants, "constexpr")}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        compiled = triton.compile(source, target=target, options={"num_warps": 4, "num_stages": 3})
        assert compiled.asm["cubin"]
        print(kernel.__name__)


if __name__ == "__main__":
    main()
