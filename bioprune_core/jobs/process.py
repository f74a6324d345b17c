"""Running a stage in a child process: start, watch, stop, start again when something killed it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from bioprune_core import errors
from bioprune_core.errors import BioPruneError, StageError
from bioprune_core.jobs.context import error_file, log_file, record_file
from bioprune_core.jobs.kinds import Stage
from bioprune_core.storage import read_json, storage_error
from bioprune_core.workspace.events import EventKind, EventLog

__all__ = ["RESTARTS", "StageStopped", "StopReason", "run_help", "run_stage"]

RESTARTS = 3
"""How often a stage that something killed is started again before the job fails."""

_DEFAULTS = {
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
}


class StopReason(StrEnum):
    """Why a stage is to stop."""

    CANCELLED = "cancelled"
    LEAVING = "leaving"
    """The worker ends; another continues."""
    LOST = "lost"
    """Another worker has taken the job over."""
    NEEDED = "needed"
    """The worker has a job of its own to do and stops helping."""


class StageStopped(Exception):
    """The stage was stopped as asked; no error.

    Args:
        reason: Why.
    """

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def run_stage(
    directory: Path,
    stage: Stage,
    stop_timeout_s: float,
    should_stop: Callable[[], StopReason | None],
    environment: Mapping[str, str] | None = None,
    poll_s: float = 0.1,
) -> None:
    """Compute a stage in a child process of its own group; return when it is finished.

    A stage killed from outside (kill -9, out of memory) is started again up to `RESTARTS` times: it goes on
    from its last finished shard.

    Args:
        directory: Folder of the dataset, model or run.
        stage: The stage.
        stop_timeout_s: Seconds between SIGTERM and SIGKILL.
        should_stop: Asked every `poll_s` seconds; a reason to stop, or None to go on.
        environment: Variables to set for the child, besides those of this process.
        poll_s: Seconds between two looks at the child.

    Raises:
        StageStopped: `should_stop` gave a reason; the child has ended.
        BioPruneError: The stage failed, with its own class and sentence.
    """
    log = EventLog(directory)
    for restart in range(RESTARTS + 1):
        if record_file(directory, stage.name).is_file():
            return
        arguments = ("bioprune_core.jobs.stage", str(directory), stage.name, stage.function)
        path = log_file(directory, stage.name)
        code = _run_once(arguments, path, stop_timeout_s, should_stop, environment or {}, poll_s)
        if code == 0:
            return
        if code > 0:
            raise _failure(directory, stage, code)
        name = signal.Signals(-code).name
        if restart < RESTARTS:
            message = f"Something ended the stage ({name}). Started again, {restart + 1} of {RESTARTS}."
            log.write(EventKind.STAGE_RESTARTED, stage.name, message)
    raise StageError(
        f"The stage {stage.name} was ended {RESTARTS + 1} times from outside ({name}). Most often the "
        "machine ran out of memory: choose a smaller token budget or model, or stop other programs, and "
        "retry; what is finished is kept."
    )


def run_help(
    directory: Path,
    stage: Stage,
    name: str,
    stop_timeout_s: float,
    should_stop: Callable[[], StopReason | None],
    environment: Mapping[str, str],
) -> None:
    """Compute shards of a stage that another worker does, in a child process; return when none is left.

    Args:
        directory: Folder of the run.
        stage: The stage.
        name: Of this worker, for the log.
        stop_timeout_s: As in `run_stage`.
        should_stop: As in `run_stage`.
        environment: As in `run_stage`.

    Raises:
        StageStopped: `should_stop` gave a reason; the child has ended.
        StageError: The child failed. The worker that does the stage goes on without.
    """
    path = log_file(directory, f"{stage.name}-{name}")
    arguments = ("bioprune_core.jobs.help", str(directory), stage.name, stage.help)
    code = _run_once(arguments, path, stop_timeout_s, should_stop, environment, poll_s=0.1)
    if code:
        raise StageError(
            f"Helping with the stage {stage.name} ended with code {code}; {path.name} among the run's logs "
            "has the details. The run goes on without this help."
        )


def _run_once(
    arguments: Sequence[str],
    path: Path,
    stop_timeout_s: float,
    should_stop: Callable[[], StopReason | None],
    environment: Mapping[str, str],
    poll_s: float,
) -> int:
    """Start the child and wait for it; its exit code, negative when a signal ended it."""
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", *arguments, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**_DEFAULTS, **os.environ, **environment},
                start_new_session=True,
            )
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        while True:
            try:
                return child.wait(timeout=poll_s)
            except subprocess.TimeoutExpired:
                reason = should_stop()
            if reason is not None:
                raise StageStopped(reason)
    finally:
        # Also on Ctrl-C, or when the database cannot be asked: nothing goes on unwatched.
        if child.returncode != 0:
            _stop(child, stop_timeout_s)


def _stop(child: subprocess.Popen[bytes], timeout_s: float) -> None:
    """End the child and everything it started: its process group."""
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    _signal_group(child, signal.SIGKILL)
    child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # All of the group have ended already.
        os.killpg(child.pid, number)


def _failure(directory: Path, stage: Stage, code: int) -> BioPruneError:
    path = error_file(directory, stage.name)
    if not path.is_file():
        return StageError(
            f"The stage {stage.name} ended with code {code} and without a word. The job's log has its last "
            "output; retry, and report it if it happens again."
        )
    failure = read_json(path)
    kind = getattr(errors, failure["error"], StageError)
    known = isinstance(kind, type) and issubclass(kind, BioPruneError)
    error: BioPruneError = (kind if known else StageError)(failure["message"], failure["detail"])
    return error
