"""Kernels for GPUs against the same in plain torch; where there is no GPU they are interpreted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bioprune_core.models import steps

kernels = pytest.importorskip(
    "bioprune_core.models.kernels", reason="triton, which interprets kernels for GPUs, is not installed"
)

HAS_GPU = torch.cuda.is_available()
DEVICE = "cuda" if HAS_GPU else "cpu"
# The interpreter cuts numbers to bf16 off where a GPU rounds.
BF16 = {"rtol": 2**-7, "atol": 2**-7}
FLOAT32 = {"rtol": 2e-5, "atol": 1e-5}


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator(DEVICE).manual_seed(0)


def normal(draw: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=draw, device=DEVICE).to(dtype)


@pytest.mark.parametrize("width", [40, 640, 1152])
@pytest.mark.parametrize("affine", ["both", "weight", "neither"])
def test_norm(draw: torch.Generator, width: int, affine: str) -> None:
    residual, shift = normal(draw, 7, width) + 3, normal(draw, width)
    weight = None if affine == "neither" else normal(draw, width)
    bias = normal(draw, width) if affine == "both" else None
    found = kernels.norm(residual, shift, weight, bias, 1e-5)
    torch.testing.assert_close(found, steps.norm(residual, shift, weight, bias, 1e-5), **BF16)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp2")
@pytest.mark.parametrize("width", [8, 1500])
def test_gelu(draw: torch.Generator, width: int) -> None:
    states, bias = normal(draw, 5, width, dtype=torch.bfloat16) * 3, normal(draw, width)
    expected = steps.gelu(states, bias)
    torch.testing.assert_close(kernels.gelu(states.clone(), bias), expected, **BF16)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp2")  # what the interpreter says of an end
def test_gelu_is_that_of_the_error_function_everywhere() -> None:
    # Through the bias, which is not rounded, and against a result that is not rounded either.
    places = torch.cat(
        [torch.linspace(-30, 30, 8001, device=DEVICE), torch.tensor([-1e30, 1e30], device=DEVICE)]
    )
    found = kernels.gelu(torch.zeros(1, len(places), dtype=torch.bfloat16, device=DEVICE), places)[0].double()
    exact = torch.nn.functional.gelu(places.double())
    assert (found - exact).abs().le(3.5e-6 + exact.abs() * 2**-7).all()


def test_gate(draw: torch.Generator) -> None:
    both = normal(draw, 5, 2 * 1100, dtype=torch.bfloat16) * 3
    torch.testing.assert_close(kernels.gate(both), steps.gate(both), **BF16)


@pytest.mark.parametrize(("heads", "width"), [(3, 16), (5, 24), (18, 64)])
@pytest.mark.parametrize("normed", [True, False])
def test_rotate(draw: torch.Generator, heads: int, width: int, normed: bool) -> None:
    qkv = normal(draw, 9, 3, heads, width, dtype=torch.bfloat16)
    positions = torch.tensor([0, 1, 2, 3, 0, 1, 2, 0, 1], device=DEVICE)
    angles = normal(draw, 4, width // 2)
    norms = (normal(draw, heads * width), normal(draw, heads * width), 1e-5) if normed else None
    found, expected = qkv.clone(), qkv.clone()
    kernels.rotate(found, positions, angles.cos(), angles.sin(), norms)
    steps.rotate(expected, positions, angles.cos(), angles.sin(), norms)
    assert torch.equal(found[:, 2], qkv[:, 2])
    torch.testing.assert_close(found, expected, rtol=2**-6, atol=2**-6)


@pytest.mark.parametrize("lengths", [[4, 3, 2], [1], [64, 32, 33], [200, 129, 70, 1]])
@pytest.mark.parametrize(("heads", "width"), [(5, 24), (2, 64)])
def test_attention(draw: torch.Generator, lengths: list[int], heads: int, width: int) -> None:
    # Its interpreter multiplies float32 alone.
    dtype = torch.bfloat16 if HAS_GPU else torch.float32
    qkv = normal(draw, sum(lengths), 3, heads, width, dtype=dtype)
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32, device=DEVICE)
    found = kernels.attention(qkv, offsets, max(lengths))
    expected = steps.attention(qkv, offsets, max(lengths))
    torch.testing.assert_close(found, expected, **(BF16 if HAS_GPU else FLOAT32))


@pytest.mark.parametrize("shape", [(4, 30, 50), (2, 3, 2000)])
def test_row_squares(draw: torch.Generator, shape: tuple[int, int, int]) -> None:
    gradients, scale = normal(draw, *shape), normal(draw, *shape[1:])
    plain, scaled = kernels.row_squares(gradients, scale)
    torch.testing.assert_close(plain, gradients.square().sum(-1), rtol=2e-6, atol=0)
    torch.testing.assert_close(scaled, (gradients * scale).square().sum(-1), rtol=2e-6, atol=0)


@pytest.mark.skipif(not HAS_GPU, reason="the product of bf16 matrices that is added in float32 needs a GPU")
def test_a_product_is_added_without_being_rounded(draw: torch.Generator) -> None:
    states, weight = (normal(draw, *shape, dtype=torch.bfloat16) for shape in ((99, 640), (320, 640)))
    residual = normal(draw, 99, 320)
    expected = residual.double() + 0.7 * states.double() @ weight.double().t()
    found = kernels.add_product(residual, states, weight, 0.7)
    assert found is residual
    assert float((found.double() - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.parametrize("capability", [80, 90], ids=["A100", "H100"])
def test_all_compile_without_a_gpu(capability: int, tmp_path: Path) -> None:
    script = Path(__file__).with_name("compile_kernels.py")
    variables = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    variables.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        [sys.executable, script, str(capability)], env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    kernels_compiled = set(done.stdout.split())
    assert kernels_compiled == {"_norm", "_gelu", "_gate", "_rotate", "_attention", "_row_squares"}
