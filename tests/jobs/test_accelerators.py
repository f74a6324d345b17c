from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from bioprune_core.errors import ConflictError, InputError
from bioprune_core.jobs.accelerators import lease_gpu
from bioprune_core.jobs.environment import resolve_device


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with GPUs 1, 2 and 10, and their control device."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("nvidia10", "nvidia2", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    return tmp_path


def test_every_worker_has_a_gpu_of_its_own_until_it_ends(devices: Path) -> None:
    with ExitStack() as first, ExitStack() as second, ExitStack() as third, ExitStack() as fourth:
        leased = [lease_gpu(stack, devices)["CUDA_VISIBLE_DEVICES"] for stack in (first, second, third)]
        assert leased == ["0", "1", "2"]
        with pytest.raises(ConflictError, match="all 3 GPUs"):
            lease_gpu(fourth, devices)
        second.close()
        assert lease_gpu(fourth, devices)["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_persons_own_choice_and_a_machine_without_gpus_are_left_alone(
    devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        assert lease_gpu(stack, devices / "none") == {}
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
        assert lease_gpu(stack, devices) == {}


def test_a_job_that_names_another_gpu_is_computed_on_the_leased_one(
    devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="1 usable"):
        resolve_device("cuda:1")
    with ExitStack() as stack:
        for name, value in lease_gpu(stack, devices).items():
            monkeypatch.setenv(name, value)
        assert resolve_device("cuda:1") == torch.device("cuda")
        assert resolve_device("cpu") == torch.device("cpu")
