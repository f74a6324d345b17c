"""The child process that computes shards of a stage which another worker does.

Started as `python -m bioprune_core.jobs.help DIRECTORY STAGE FUNCTION PARENT`. It holds no lock but the
claims on its shards and, with other helpers, the one that keeps their half-written files from being removed.
It leaves no record: the stage itself finds the shards done.
"""

import fcntl
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bioprune_core.claims import open_lock, take_lock
from bioprune_core.jobs.context import StageContext, record_file
from bioprune_core.jobs.stage import HELP_LOCK, end_with
from bioprune_core.progress import discard

__all__ = ["NOTHING_TO_DO", "main"]

NOTHING_TO_DO = 100
"""Exit code of a helper that has found everything done or claimed. Those of errors are smaller."""


def main(arguments: Sequence[str]) -> int:
    """Help until there is nothing left to do; returns the exit code."""
    directory, stage, function, parent = Path(arguments[0]), arguments[1], arguments[2], int(arguments[3])
    end_with(parent)
    _keep_what_is_written(directory / HELP_LOCK)
    if record_file(directory, stage).is_file():
        return NOTHING_TO_DO
    module, name = function.split(":")
    # The progress of the stage is told by the process that does it.
    computed = getattr(importlib.import_module(module), name)(StageContext(directory, discard))
    return NOTHING_TO_DO if computed == 0 else 0


def _keep_what_is_written(path: Path) -> None:
    """Share the lock of helpers until this process ends."""
    descriptor = open_lock(path)
    while not take_lock(descriptor, path, fcntl.LOCK_SH):
        time.sleep(0.05)  # A stage that begins removes leftovers this very moment.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
