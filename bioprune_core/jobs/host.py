"""The process that computes stages of one module, each in a fork of itself.

Started as `python -m bioprune_core.jobs.host DIRECTORY MODULE ORDERS RESULTS PARENT`: two file descriptors
and a process id. An order is a line of JSON, [stage, function, log]; its result is the exit code, a line. It
ends with its parent, and with the end of orders. On Linux alone.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from bioprune_core.jobs import stage
from bioprune_core.jobs.stage import die_with

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Compute what is ordered; returns 0 at the end of orders."""
    directory, module, orders, results, parent = arguments
    die_with(int(parent))
    # It is for the stage; this process stays to tell how that ended.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(Exception):  # The stage fails with the same, and can tell it.
        importlib.import_module(module)
    with os.fdopen(int(orders)) as lines, os.fdopen(int(results), "w") as answers:
        for line in lines:
            child = os.fork()
            if not child:
                lines.close()
                answers.close()
                _compute(directory, *json.loads(line))
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    return 0


def _compute(directory: str, name: str, function: str, log: str) -> NoReturn:
    """Be the stage's process."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with Path(log).open("ab") as output:
            os.dup2(output.fileno(), sys.stdout.fileno())
            os.dup2(output.fileno(), sys.stderr.fileno())
        code = stage.main([directory, name, function, str(os.getppid())])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Nothing of what the host has opened is closed twice.
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
