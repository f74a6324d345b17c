"""One GPU for one worker: leases on the GPUs of a machine."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bioprune_core.errors import ConflictError
from bioprune_core.workspace.locks import hold

__all__ = ["LEASED_GPU", "lease_gpu"]

LEASED_GPU = "BIOPRUNE_LEASED_GPU"
"""Set for stages of a worker that has leased a GPU: the number of that one, the only one that they see."""

_DEVICES = Path("/dev")


def lease_gpu(stack: ExitStack, devices: Path = _DEVICES) -> Mapping[str, str]:
    """Lease the first free GPU of this machine, until the stack is closed or the process ends.

    Workers of the same account, whatever their workspace, keep out of each other's way.

    Args:
        stack: Holds the lease.
        devices: The folder of device files.

    Returns:
        Variables for the stages' processes; none where the machine has no GPU or CUDA_VISIBLE_DEVICES is set,
        which is a person's own choice.

    Raises:
        ConflictError: Other workers have all the GPUs.
    """
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return {}
    files = sorted(devices.glob("nvidia[0-9]*"), key=lambda path: int(path.name.removeprefix("nvidia")))
    leases = Path(tempfile.gettempdir()) / f"bioprune-gpus-{os.getuid()}"
    for index, file in enumerate(files):
        try:
            stack.enter_context(hold(leases / f"{file.name}.lock", f"GPU {index}", wait_s=0))
        except ConflictError:
            continue
        # By the order of the bus, which is that of the device files; the default order is by speed.
        return {
            "CUDA_VISIBLE_DEVICES": str(index),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            LEASED_GPU: str(index),
        }
    if not files:
        return {}
    raise ConflictError(
        f"Other workers have all {len(files)} GPUs of this machine. Stop one of them, name the GPU to "
        "share with CUDA_VISIBLE_DEVICES=0, or work without by CUDA_VISIBLE_DEVICES= (empty)."
    )
