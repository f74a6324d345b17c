"""The processes that train one model together, each on a device of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from bioprune_core.errors import InputError

__all__ = ["ALONE", "TrainingGroup", "current_group", "joined_group", "local_device"]

# The first process writes checkpoints and the model while the others wait; torchrun, not this, notices a
# process that is gone. The library's own patience is 10 minutes.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class TrainingGroup:
    """One process's place among those that train together. All must call the methods in the same order.

    Args:
        rank: This process, from 0. The first alone writes files.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            distributed.barrier()

    def sums(self, values: Sequence[float], device: torch.device) -> list[float]:
        """The sum over the processes of each value, in float64.

        Args:
            values: As many in every process.
            device: That of the model: the processes may only be connected through it.
        """
        if self.size == 1:
            return [float(value) for value in values]
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def add_gradients(self, network: torch.nn.Module) -> None:
        """Replace the gradients of a network by their sums over the processes, the same bits in each.

        In one message behind the backward pass. A parameter that has a gradient in no process keeps none: an
        optimiser leaves it alone, and would let one with a gradient of zeros decay.
        """
        if self.size == 1:
            return
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        present = [parameter.grad is not None for parameter in parameters]
        parts = [
            (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).reshape(-1)
            for parameter in parameters
        ]
        flags = torch.tensor(present, dtype=parts[0].dtype, device=parts[0].device)
        message = torch.cat([flags, *parts])
        distributed.all_reduce(message)
        totals = torch.split(message[len(flags) :], [part.numel() for part in parts])
        for parameter, anywhere, total in zip(
            parameters, message[: len(flags)].tolist(), totals, strict=True
        ):
            parameter.grad = total.view_as(parameter) if anywhere else None


ALONE = TrainingGroup()
"""The group of a training in one process."""


def current_group() -> TrainingGroup:
    """The group that this process has joined, or `ALONE`."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    return TrainingGroup(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def joined_group(device: torch.device) -> Iterator[TrainingGroup]:
    """Join the processes that `torchrun` started beside this one, for the duration of the block.

    Args:
        device: Where this process trains: GPUs are connected by NCCL, processors by gloo.

    Raises:
        InputError: The process was not started by `torchrun`.
    """
    if not distributed.is_torchelastic_launched():
        raise InputError(
            "Several processes can only train together when torchrun starts them: "
            "torchrun --nproc-per-node N -m bioprune_core.jobs.distributed FOLDER."
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
        # Told its device, NCCL connects now and not at the first sum, and guesses none at a barrier.
        distributed.init_process_group("nccl", device_id=device, timeout=_PATIENCE)
    else:
        distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield current_group()
    finally:
        distributed.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """The device of this process: among those that `torchrun` started on a machine, each has its own GPU.

    Raises:
        InputError: More processes were started than the machine has GPUs.
    """
    if device.type != "cuda" or not distributed.is_torchelastic_launched():
        return device
    index, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if index >= there:
        raise InputError(
            f"torchrun started process {index} of this machine, which has {there} usable GPUs. Start it with "
            f"--nproc-per-node {there}."
        )
    return torch.device("cuda", index)
