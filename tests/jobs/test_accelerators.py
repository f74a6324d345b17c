from contextlib import ExitStack
from pathlib import Path

import pytest

from bioprune_core.errors import ConflictError
from bioprune_core.jobs.accelerators import lease_gpu


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
