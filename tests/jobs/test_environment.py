"""The device that a configuration names is one that BioPrune computes on, or a sentence says so."""

import pytest
import torch

from bioprune_core.errors import InputError
from bioprune_core.jobs.environment import resolve_device


@pytest.mark.parametrize("name", ["mps", "xpu:0", "meta", "abacus", "CUDA", "cuda:", "cuda:-1", ""])
def test_what_nothing_computes_on_is_refused(name: str) -> None:
    with pytest.raises(
        InputError, match=rf'does not compute on the device "{name}"\. Choose auto, cpu, cuda'
    ):
        resolve_device(name)


def test_a_gpu_that_the_machine_has_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="this machine has 2 usable GPUs"):
        resolve_device("cuda:2")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, there: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device("auto").type == expected
