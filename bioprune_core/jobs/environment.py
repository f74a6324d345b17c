"""What a computation ran on: the device and the machine. Kept in manifests."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil
import torch

from bioprune_core.devices import check_device
from bioprune_core.errors import InputError
from bioprune_core.jobs.accelerators import LEASED_GPU

__all__ = ["hardware", "resolve_device"]


def resolve_device(name: str) -> torch.device:
    """The device that a configuration names; "auto" is the first GPU, or the processor where there is none.

    Under a worker that has leased a GPU every GPU is that one: which is free is not known beforehand.

    Raises:
        InputError: There is no such device, or BioPrune does not compute on its kind.
    """
    if check_device(name) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and LEASED_GPU in os.environ:
        device = torch.device("cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f'The device "{name}" was asked for, but this machine has {torch.cuda.device_count()} usable '
            "GPUs. Choose auto or cpu, or start the worker where the GPU is."
        )
    return device


def hardware(device: torch.device) -> dict[str, Any]:
    """The machine and the device, as JSON values. Memory in bytes."""
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "device": str(device),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {"gpu": properties.name, "gpu_memory_bytes": properties.total_memory}
    return facts


def _processor() -> str:
    """The processor's name; Python's own answer is empty on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
