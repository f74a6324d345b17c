"""The child process that computes shards of a stage which another worker does.

Started as `python -m bioprune_core.jobs.help DIRECTORY STAGE FUNCTION PARENT`. It holds no lock but the
claims on its shards and leaves no record: the stage itself finds the shards done.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bioprune_core.jobs.context import StageContext, record_file
from bioprune_core.jobs.stage import end_with
from bioprune_core.progress import discard

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Help until there is nothing left to do; returns the exit code."""
    directory, stage, function, parent = Path(arguments[0]), arguments[1], arguments[2], int(arguments[3])
    end_with(parent)
    if record_file(directory, stage).is_file():
        return 0
    module, name = function.split(":")
    # The progress of the stage is told by the process that does it.
    getattr(importlib.import_module(module), name)(StageContext(directory, discard))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
