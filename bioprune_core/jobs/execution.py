"""What a worker does with one job: the durable workflow around the stages."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from dbos import DBOS, DBOSClient
from dbos import error as queue_error
from sqlalchemy.exc import DBAPIError

from bioprune_core.errors import BioPruneError
from bioprune_core.jobs.crew import Crew
from bioprune_core.jobs.database import HEAVY_QUEUE, QUEUE_OF
from bioprune_core.jobs.drive import compute_stages, target_directory
from bioprune_core.jobs.heartbeats import Heartbeats
from bioprune_core.jobs.kinds import JobKind, Plans, Stage, helped_stage
from bioprune_core.jobs.process import StageRunner, StageStopped, StopReason, run_help
from bioprune_core.workspace.events import EventKind, EventLog
from bioprune_core.workspace.workspace import Workspace

__all__ = ["Executions"]

_ASK_S = 0.5
"""Seconds between two looks at whether a job was cancelled; with `stop_timeout_s` <= 4 it ends within 5 s."""

_QUIET_S = 5.0
"""How long to wait for another process on the same target before saying so: a cancelled execution ends in
`stop_timeout_s`."""


class Executions:
    """The jobs that this worker is doing.

    Args:
        workspace: The workspace.
        client: The queue.
        name: The worker's name.
        plans: The stages of each kind of job.
        leaving: Set when the worker is to end.
        announce: Told in a sentence what happens.
        environment: Variables for the stages' processes.
        heartbeats: Tells which other workers are idle.
    """

    def __init__(
        self,
        workspace: Workspace,
        client: DBOSClient,
        name: str,
        plans: Plans,
        leaving: threading.Event,
        announce: Callable[[str], None],
        environment: Mapping[str, str],
        heartbeats: Heartbeats,
    ) -> None:
        self._environment = environment
        self._heartbeats = heartbeats
        self._own_jobs = 0
        self._workspace = workspace
        self._client = client
        self._name = name
        self._plans = plans
        self._leaving = leaving
        self._announce = announce
        self._running: dict[str, int] = {}
        self._changed = threading.Condition()

    def job_ids(self) -> list[str]:
        """The jobs being done now."""
        with self._changed:
            return sorted(self._running)

    def wait_until_stopped(self, timeout_s: float) -> None:
        """Wait until no job computes any more, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout_s)

    def execute(self, kind: str, target_id: str) -> bool:
        """The workflow. Its steps are the stages; finished ones are not run again after a restart.

        Returns:
            False where it helped and found nothing to do.
        """
        job_id = DBOS.workflow_id
        assert job_id is not None
        if self._leaving.is_set():
            _wait_for_the_end()
        self._count(job_id, 1)
        try:
            self._announce(f"Job {job_id}: {kind} {target_id}.")
            found_work = True
            if JobKind(kind) is JobKind.HELP:
                found_work = self._help(job_id, target_id)
            else:
                self._compute(job_id, JobKind(kind), target_id)
            self._announce(f"Job {job_id} is finished.")
        except StageStopped as stopped:
            self._announce(f"Job {job_id} is stopped ({stopped.reason}).")
            reason = stopped.reason
        except BioPruneError as error:
            self._announce(f"Job {job_id} failed: {error.message}")
            raise
        else:
            return found_work
        finally:
            self._count(job_id, -1)
        if reason is StopReason.LEAVING:
            _wait_for_the_end()
        raise queue_error.DBOSWorkflowCancelledError(job_id)

    def _compute(self, job_id: str, kind: JobKind, target_id: str) -> None:
        directory = target_directory(self._workspace.layout, kind, target_id)
        watch = _Watch(self._client, job_id, self._name, self._leaving)
        runner = StageRunner(directory, self._workspace.settings.stop_timeout_s, self._environment)

        def run(stage: Stage) -> None:
            stopped: list[StageStopped] = []

            def step() -> None:
                try:
                    self._run_stage(runner, target_id, stage, watch)
                except StageStopped as reason:
                    stopped.append(reason)
                    # The one exception that the queue does not record as the step's outcome.
                    raise queue_error.DBOSWorkflowCancelledError(job_id) from reason

            try:
                DBOS.run_step({"name": stage.name}, step)
            except queue_error.DBOSWorkflowCancelledError:
                raise stopped[0] if stopped else StageStopped(StopReason.CANCELLED) from None

        with closing(runner), self._at_own_job(kind):
            what = f"{kind.target} {target_id}"
            turn = _Turn(what, watch, EventLog(directory), self._announce)
            # However long: the lock of a suspended worker stays with it, that of a machine without power for
            # about 90 s on NFS 4. Neither is a failure of the job.
            compute_stages(directory, what, self._plans[kind], run, math.inf, turn.wait)

    def _run_stage(self, runner: StageRunner, target_id: str, stage: Stage, watch: "_Watch") -> None:
        """Compute a stage here, with the help of idle workers where it can be shared."""
        if not stage.help:
            runner.run(stage, watch.should_stop)
            return
        crew = Crew(self._client, self._heartbeats, target_id, stage)

        def should_stop() -> StopReason | None:
            crew.call()
            return watch.should_stop()

        try:
            runner.run(stage, should_stop)
        finally:
            crew.dismiss()

    def _help(self, job_id: str, target: str) -> bool:
        """Compute parts of another worker's stage until none is left or there is a job of one's own.

        Returns:
            Whether there was something to do, or may have been.
        """
        directory = target_directory(self._workspace.layout, JobKind.HELP, target)
        stage = helped_stage(self._plans, target)
        watch = _Watch(self._client, job_id, self._name, self._leaving)
        stopped: list[StageStopped] = []

        def should_stop() -> StopReason | None:
            with self._changed:
                needed = self._own_jobs > 0
            return StopReason.NEEDED if needed else watch.should_stop()

        def step() -> bool:
            try:
                if should_stop() is None:
                    timeout_s = self._workspace.settings.stop_timeout_s
                    return run_help(directory, stage, self._name, timeout_s, should_stop, self._environment)
            except StageStopped as reason:
                if reason.reason is not StopReason.NEEDED:
                    stopped.append(reason)
                    raise queue_error.DBOSWorkflowCancelledError(job_id) from reason
            return True

        try:
            return DBOS.run_step({"name": f"help-{stage.name}"}, step)
        except queue_error.DBOSWorkflowCancelledError:
            raise stopped[0] if stopped else StageStopped(StopReason.CANCELLED) from None

    @contextmanager
    def _at_own_job(self, kind: JobKind) -> Iterator[None]:
        """While a job that computes is done here, this worker helps nobody else."""
        own = QUEUE_OF[kind] == HEAVY_QUEUE
        with self._changed:
            self._own_jobs += own
        try:
            yield
        finally:
            with self._changed:
                self._own_jobs -= own

    def _count(self, job_id: str, change: int) -> None:
        # A job that was cancelled and resumed at once is for a moment running twice, the old one ending.
        with self._changed:
            self._running[job_id] = self._running.get(job_id, 0) + change
            if not self._running[job_id]:
                del self._running[job_id]
            self._changed.notify_all()


class _Watch:
    """Whether one execution of a job is to go on."""

    def __init__(self, client: DBOSClient, job_id: str, name: str, leaving: threading.Event) -> None:
        self._client = client
        self._job_id = job_id
        self._name = name
        self._leaving = leaving
        # Tells this execution from a later one of the same job by the same worker.
        self._taken_up = self._when_taken_up()
        self._asked = time.monotonic()

    def should_stop(self) -> StopReason | None:
        """A reason to stop, or None to go on."""
        if self._leaving.is_set():
            return StopReason.LEAVING
        if time.monotonic() - self._asked < _ASK_S:
            return None
        self._asked = time.monotonic()
        try:
            workflow = self._workflow()
        except DBAPIError:
            return None  # A database that restarts is no reason to drop hours of work.
        if workflow.status == "CANCELLED":
            return StopReason.CANCELLED
        mine = (workflow.status, workflow.executor_id, workflow.dequeued_at)
        return None if mine == ("PENDING", self._name, self._taken_up) else StopReason.LOST

    def _when_taken_up(self) -> int | None:
        while True:
            try:
                taken_up: int | None = self._workflow().dequeued_at
            except DBAPIError:
                time.sleep(_ASK_S)  # It restarts, which must not fail the job.
            else:
                return taken_up

    def _workflow(self) -> Any:
        found = self._client.list_workflows(workflow_ids=[self._job_id], load_input=False, load_output=False)
        return found[0]


class _Turn:
    """Waiting for another process that holds the directory of a job."""

    def __init__(self, what: str, watch: _Watch, log: EventLog, announce: Callable[[str], None]) -> None:
        self._what = what
        self._watch = watch
        self._log = log
        self._announce = announce
        self._started: float | None = None
        self._said = False

    def wait(self, holder: str) -> None:
        """Say once for whom this execution waits, unless that is over in a moment.

        Raises:
            StageStopped: It is not to go on.
        """
        reason = self._watch.should_stop()
        if reason is not None:
            raise StageStopped(reason)
        self._started = self._started or time.monotonic()
        if self._said or time.monotonic() - self._started < _QUIET_S:
            return
        self._said = True
        sentence = (
            f"Waits for another process that holds {self._what}{holder}. If that one is suspended or hangs, "
            "let it go on or end it; the job can be cancelled."
        )
        self._log.write(EventKind.NOTE, message=sentence)
        self._announce(sentence)


def _wait_for_the_end() -> None:
    """Keep an unfinished job unfinished while the worker ends: neither return nor raise."""
    threading.Event().wait()
