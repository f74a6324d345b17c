"""The child process that computes one stage.

A fork of `bioprune_core.jobs.host`, or, where a process that has loaded torch is not safe to fork, started as
`python -m bioprune_core.jobs.stage DIRECTORY STAGE FUNCTION PARENT`, PARENT being a process id.
It holds the directory's stage lock, so no two processes ever compute the same thing, and it ends when its
parent does: a killed worker leaves nothing running.
"""

import ctypes
import importlib
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bioprune_core import errors
from bioprune_core.claims import claimed
from bioprune_core.errors import BioPruneError, StageError
from bioprune_core.jobs.context import StageContext, error_file, record_file
from bioprune_core.storage import remove_leftovers, storage_error, write_json
from bioprune_core.workspace.events import EventKind, EventLog
from bioprune_core.workspace.locks import STAGE_LOCK, hold
from bioprune_core.workspace.names import timestamp

__all__ = ["HELP_LOCK", "as_failure", "compute", "die_with", "end_with", "main"]

LOCK_WAIT_S = 30.0
"""A stage that a killed worker left is gone within a second; only another live process holds longer."""

HELP_LOCK = ".help.lock"
"""Shared by the processes that help with a stage of the directory, for as long as each of them lives."""

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Compute a stage and return the exit code: 0 done, otherwise that of the error."""
    directory, stage, function, parent = Path(arguments[0]), arguments[1], arguments[2], int(arguments[3])
    end_with(parent)
    try:
        compute(directory, stage, function)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent and the log get to know
        traceback.print_exc()
        failure = as_failure(error, stage)
        write_json(
            error_file(directory, stage),
            {"error": _family(failure), "message": failure.message, "detail": failure.detail},
        )
        return failure.exit_code
    return 0


def _family(failure: BioPruneError) -> str:
    """The kind of error that every process knows, where a module has one of its own."""
    return next(kind.__name__ for kind in type(failure).__mro__ if kind.__name__ in errors.__all__)


def compute(directory: Path, stage: str, function: str) -> None:
    """Compute a stage unless it is finished, and leave its record.

    Args:
        directory: Folder of the dataset, model or run.
        stage: Name of the stage.
        function: "module:function".

    Raises:
        ConflictError: Another process computes in this directory.
        BioPruneError: Whatever the stage's function raises.
    """
    record = record_file(directory, stage)
    with hold(directory / STAGE_LOCK, f"{directory.name}, stage {stage}", LOCK_WAIT_S):
        if record.is_file():
            return
        _remove_leftovers(directory)
        error_file(directory, stage).unlink(missing_ok=True)
        log = EventLog(directory)
        log.write(EventKind.STAGE_STARTED, stage)
        module, name = function.split(":")
        started, clock = timestamp(), time.monotonic()
        context = StageContext(directory, log.report, partial(log.write, EventKind.NOTE, stage))
        evidence = getattr(importlib.import_module(module), name)(context)
        write_json(record, _record(stage, started, time.monotonic() - clock, evidence or {}))
        log.write(EventKind.STAGE_FINISHED, stage)


def _remove_leftovers(directory: Path) -> None:
    """Remove what killed processes left half-written. All who write but helpers wait for the stage's lock."""
    with claimed(directory / HELP_LOCK) as nobody_helps:
        # Otherwise the next stage that begins without helpers does.
        if nobody_helps:
            remove_leftovers(directory)


def _record(stage: str, started: str, seconds: float, evidence: Mapping[str, Any]) -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "stage": stage,
        "started": started,
        "finished": timestamp(),
        "seconds": round(seconds, 3),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_memory_bytes": usage.ru_maxrss * unit,
        "evidence": dict(evidence),
    }


def as_failure(error: Exception, stage: str) -> BioPruneError:
    """The error as a sentence for the user."""
    detail = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, BioPruneError):
        return error
    if isinstance(error, OSError):
        return storage_error(error, Path(error.filename or "a file"))
    # Torch's OutOfMemoryError is a RuntimeError; torch is not imported here.
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return StageError(
            f"The stage {stage} ran out of memory. Choose a smaller token budget or model, or a machine with "
            "more memory, and retry; finished shards are kept.",
            detail,
        )
    return StageError(
        f"The stage {stage} failed unexpectedly ({detail.splitlines()[0]}). The job's log has the details; "
        "retry, and report it if it happens again.",
        detail,
    )


def end_with(parent: int) -> None:
    """End this process when its parent ends, however that ends."""
    die_with(parent)

    def watch() -> None:
        # Where the kernel does not tell, and should the parent's thread outlive its process.
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def die_with(parent: int) -> None:
    """Have the kernel end this process with the parent's thread that started it, where it can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # It ended before the line above.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
