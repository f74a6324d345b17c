"""Child processes of a worker: a module by itself, or the stages of one module out of a common host.

Loading torch and transformers takes 6 s of processor time, and three stages of every scoring need both. So
stages of one module that follow each other are forks of one process that has loaded it and does nothing else.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from bioprune_core.jobs.kinds import Stage
from bioprune_core.storage import storage_error

__all__ = ["CAN_FORK", "STAGE_ENVIRONMENT", "Child", "ModuleProcess", "StageHost"]

CAN_FORK = sys.platform == "linux"
"""Elsewhere a process that has loaded torch is not safe to fork."""

STAGE_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    # Threads that wait spin for some microseconds and then sleep. Training steps of the tiny model on 2
    # cores: alone, 13,700 tokens/s so and 10,000 with sleep at once (OMP_WAIT_POLICY=PASSIVE); beside 2 other
    # busy processes, 6,400 so and 1,200 with the library's default of 300,000 rounds; beside 8, 2,900 so and
    # 2,700 with sleep at once.
    "GOMP_SPINCOUNT": "10000",
    # Blocks above 4 MB go back to the system at once, in large pages: otherwise the allocator keeps blocks of
    # the shapes of all batches. Scoring 8,000 RNAs with the tiny model: 803 MB instead of 1,326, in the same
    # processor time; with small pages, above 8 MB, 1,000 MB and a tenth more time.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4194304",
    # numpy's products in a stage are many and small, and two threads wait for each other at every one. The
    # comparison with other forms of the Fisher, tiny model, 1,300 sequences, 2 cores: 10.9 s of wall time so
    # and 13.8 with two threads; beside 4 busy processes, 21 s so and 99.
    "OPENBLAS_NUM_THREADS": "1",
    # Kernels for the shapes of the last dozen batches, instead of up to 1,024 of all before. The diagnostics
    # of a subset of 20,000, tiny model in bf16: 1,045 MB so and 1,248 MB, in the same processor time;
    # training in bf16 was as quick within the noise.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
    # Asking whether there is a GPU would otherwise open it, and a process that has opened it cannot fork.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
"""Variables that stages run with, unless this process has set them otherwise."""


class Child(Protocol):
    """Something that computes outside of this process."""

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, negative when a signal ended it; None when it goes on after `timeout_s` seconds."""
        ...

    def stop(self, timeout_s: float) -> None:
        """End it and everything it started: SIGTERM, and SIGKILL after `timeout_s` seconds."""
        ...

    def clear(self) -> None:
        """End what is left of it, once it has ended or has nothing to do."""
        ...


class ModuleProcess:
    """`python -m MODULE ARGUMENTS... PARENT` in a session of its own, PARENT being the id of this process.

    Args:
        arguments: The module and its arguments.
        log: What it prints is appended here.
        environment: Variables to set, besides those of this process.
        keep: File descriptors that it inherits.

    Raises:
        StorageError: The log cannot be written.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        keep: Sequence[int] = (),
    ) -> None:
        try:
            log.parent.mkdir(exist_ok=True)
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", *arguments, str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**STAGE_ENVIRONMENT, **os.environ, **environment},
                    start_new_session=True,
                    pass_fds=keep,
                )
        except OSError as error:
            raise storage_error(error, log) from error

    def wait(self, timeout_s: float) -> int | None:
        """See `Child`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, timeout_s: float) -> None:
        """See `Child`."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            self.wait(timeout_s)
        self.clear()

    def clear(self) -> None:
        """See `Child`."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to everything it started: its process group."""
        with suppress(ProcessLookupError):  # All of the group have ended already.
            os.killpg(self._process.pid, number)


class StageHost:
    """A process that has loaded a module and computes stages of it, each in a fork, one at a time.

    Args:
        directory: Folder of the dataset, model or run.
        module: Where the stages' functions are.
        log: What is printed while it loads is appended here.
        environment: Variables to set, besides those of this process.

    Raises:
        StorageError: The log cannot be written.
    """

    def __init__(self, directory: Path, module: str, log: Path, environment: Mapping[str, str]) -> None:
        self._module = module
        orders, self._orders = os.pipe()
        self._results, results = os.pipe()
        ends = (orders, results)
        arguments = ("bioprune_core.jobs.host", str(directory), module, *map(str, ends))
        try:
            self._process = ModuleProcess(arguments, log, environment, ends)
        except BaseException:
            self._close()
            raise
        finally:
            for end in ends:
                os.close(end)

    def can_compute(self, module: str) -> bool:
        """Whether it has loaded a module and is there still."""
        return module == self._module and self._process.wait(0) is None

    def start(self, stage: Stage, log: Path) -> None:
        """Begin with a stage; what it prints is appended to `log`."""
        order = json.dumps([stage.name, stage.function, str(log)])
        with suppress(BrokenPipeError):  # Killed while it waited: `wait` says so.
            os.write(self._orders, order.encode() + b"\n")

    def wait(self, timeout_s: float) -> int | None:
        """See `Child`; of the stage, or of the host where that has ended."""
        readable, _, _ = select.select([self._results], [], [], timeout_s)
        if not readable:
            return None
        # Four digits and a sign at most: written in one piece.
        answer = os.read(self._results, 16)
        if answer:
            return int(answer)
        # Killed, as a rule; were it to end by itself, the stage would still not be computed.
        return self._process.wait(timeout_s=60) or 1

    def stop(self, timeout_s: float) -> None:
        """See `Child`."""
        # The host lets this signal pass, and tells how its stage ended.
        self._process.signal(signal.SIGTERM)
        self.wait(timeout_s)
        self.clear()

    def clear(self) -> None:
        """See `Child`."""
        self._process.clear()
        self._close()

    def _close(self) -> None:
        os.close(self._orders)
        os.close(self._results)
