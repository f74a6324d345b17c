import pytest
import torch

from bioprune_core.training import Precision
from bioprune_core.training.throughput import peak_flops


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 66.9e12),
        ("NVIDIA H200 NVL", 60.0e12),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("Some other card", None),
    ],
)
def test_a_peak_is_that_of_the_very_card(
    name: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    found = peak_flops(torch.device("cuda", 0), Precision.FLOAT32)
    assert found == (None if peak is None else pytest.approx(peak))
