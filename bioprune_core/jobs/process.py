"""Running stages in child processes: start, watch, stop, start again when something killed it."""

import signal
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from bioprune_core import errors
from bioprune_core.errors import BioPruneError, StageError
from bioprune_core.jobs.child import CAN_FORK, Child, ModuleProcess, StageHost
from bioprune_core.jobs.context import error_file, log_file, record_file
from bioprune_core.jobs.help import NOTHING_TO_DO
from bioprune_core.jobs.kinds import Stage
from bioprune_core.storage import read_json
from bioprune_core.workspace.events import EventKind, EventLog, EventTail

__all__ = ["RESTARTS", "StageRunner", "StageStopped", "StopReason", "run_help"]

RESTARTS = 3
"""How often a stage that something killed is started again without getting further before the job fails."""

_BEHIND_S = 1.0
"""A scheduler signals every process of a job, one after the other: how long the worker's signal may be behind
that of its stage."""


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


class StageRunner:
    """Computes the stages of a directory, each in a child process. Close it after the last one.

    Args:
        directory: Folder of the dataset, model or run.
        stop_timeout_s: Seconds between SIGTERM and SIGKILL.
        environment: Variables to set for the children, besides those of this process.
        poll_s: Seconds between two looks at a child.
    """

    def __init__(
        self,
        directory: Path,
        stop_timeout_s: float,
        environment: Mapping[str, str] | None = None,
        poll_s: float = 0.1,
    ) -> None:
        self._directory = directory
        self._stop_timeout_s = stop_timeout_s
        self._environment = environment or {}
        self._poll_s = poll_s
        self._host: StageHost | None = None

    def run(self, stage: Stage, should_stop: Callable[[], StopReason | None]) -> None:
        """Compute a stage; return when it is finished.

        A stage killed from outside (kill -9, out of memory) is started again: it goes on from its last
        finished shard. When that got it no further `RESTARTS` times, it fails.

        Args:
            stage: The stage.
            should_stop: Asked every `poll_s` seconds; a reason to stop, or None to go on.

        Raises:
            StageStopped: `should_stop` gave a reason; the child has ended.
            BioPruneError: The stage failed, with its own class and sentence.
        """
        log, tail = EventLog(self._directory), EventTail(self._directory, from_end=True)
        furthest = kills = 0
        while kills <= RESTARTS:
            if record_file(self._directory, stage.name).is_file():
                return
            code = self._attempt(stage, should_stop)
            if code == 0:
                return
            if code > 0:
                raise _failure(self._directory, stage, code)
            name = signal.Signals(-code).name
            reached = max([event.done for event in tail.poll() if event.stage == stage.name], default=0)
            kills, furthest = (1, reached) if reached > furthest else (kills + 1, furthest)
            if kills <= RESTARTS:
                message = f"Something ended the stage ({name}). Started again, {kills} of {RESTARTS}."
                log.write(EventKind.STAGE_RESTARTED, stage.name, message)
        raise StageError(
            f"The stage {stage.name} was ended {kills} times from outside ({name}). Most often the "
            "machine ran out of memory: choose a smaller token budget or model, or stop other programs, and "
            "retry; what is finished is kept."
        )

    def close(self) -> None:
        """End the process that the stages came from."""
        host, self._host = self._host, None
        if host is not None:
            host.clear()

    def _attempt(self, stage: Stage, should_stop: Callable[[], StopReason | None]) -> int:
        child = self._start(stage)
        # It is gone unless the stage ends well.
        host, self._host = self._host, None
        code = _wait(child, should_stop, self._stop_timeout_s, self._poll_s)
        if code == 0:
            self._host = host
        return code

    def _start(self, stage: Stage) -> Child:
        path = log_file(self._directory, stage.name)
        module = stage.function.partition(":")[0]
        if not CAN_FORK:
            arguments = ("bioprune_core.jobs.stage", str(self._directory), stage.name, stage.function)
            return ModuleProcess(arguments, path, self._environment)
        if self._host is not None and not self._host.can_compute(module):
            self.close()
        if self._host is None:
            self._host = StageHost(self._directory, module, path, self._environment)
        self._host.start(stage, path)
        return self._host


def run_help(
    directory: Path,
    stage: Stage,
    name: str,
    stop_timeout_s: float,
    should_stop: Callable[[], StopReason | None],
    environment: Mapping[str, str],
) -> bool:
    """Compute shards of a stage that another worker does, in a child process; return when none is left.

    Args:
        directory: Folder of the run.
        stage: The stage.
        name: Of this worker, for the log.
        stop_timeout_s: Seconds between SIGTERM and SIGKILL.
        should_stop: Asked ten times a second; a reason to stop, or None to go on.
        environment: Variables to set for the child, besides those of this process.

    Returns:
        False where there was nothing to do; True also where the stage does not know.

    Raises:
        StageStopped: `should_stop` gave a reason; the child has ended.
        StageError: The child failed. The worker that does the stage goes on without.
    """
    path = log_file(directory, f"{stage.name}-{name}")
    arguments = ("bioprune_core.jobs.help", str(directory), stage.name, stage.help)
    child = ModuleProcess(arguments, path, environment)
    code = _wait(child, should_stop, stop_timeout_s, poll_s=0.1)
    if code not in (0, NOTHING_TO_DO):
        raise StageError(
            f"Helping with the stage {stage.name} ended with code {code}; {path.name} among the run's logs "
            "has the details. The run goes on without this help."
        )
    return code == 0


def _wait(
    child: Child, should_stop: Callable[[], StopReason | None], stop_timeout_s: float, poll_s: float
) -> int:
    """Wait for a child; its exit code, negative when a signal ended it."""
    code = None
    try:
        while (code := child.wait(poll_s)) is None:
            reason = should_stop()
            if reason is not None:
                raise StageStopped(reason)
        if code == -signal.SIGTERM and (reason := _reason_behind(should_stop)) is not None:
            raise StageStopped(reason)
        return code
    finally:
        # Also on Ctrl-C, or when the database cannot be asked: nothing goes on unwatched.
        if code is None:
            child.stop(stop_timeout_s)
        elif code:
            child.clear()


def _reason_behind(should_stop: Callable[[], StopReason | None]) -> StopReason | None:
    """Why a child that got SIGTERM was to stop; None where the signal was for the child alone."""
    deadline = time.monotonic() + _BEHIND_S
    while (reason := should_stop()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return reason


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
