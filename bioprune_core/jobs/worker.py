"""The worker: takes jobs from the queue and computes their stages in child processes."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from types import FrameType
from typing import NoReturn

from dbos import DBOS, DBOSClient
from dbos import error as queue_error
from sqlalchemy.exc import DBAPIError

from bioprune_core.errors import ConflictError, StorageError
from bioprune_core.jobs.accelerators import lease_gpu
from bioprune_core.jobs.database import (
    APPLICATION,
    APPLICATION_VERSION,
    HEAVY_QUEUE,
    LIGHT_QUEUE,
    WORKFLOW,
    help_queue,
    prepare_database,
)
from bioprune_core.jobs.execution import Executions
from bioprune_core.jobs.heartbeats import BEAT_S, LEASE_S, Heartbeats, Watch
from bioprune_core.jobs.kinds import PLANS, Plans
from bioprune_core.jobs.takeover import hand_back, take_over
from bioprune_core.workspace.deletion import finish_deletions
from bioprune_core.workspace.locks import hold
from bioprune_core.workspace.names import check_name
from bioprune_core.workspace.records import Dataset, Run
from bioprune_core.workspace.workspace import Workspace

__all__ = ["run_worker"]

_POLL_S = 0.5
_NAMES = 1_000
"""More workers than this on one machine are a mistake."""


def _say(text: str) -> None:
    """Print at once, also into a pipe or a service's journal."""
    print(text, flush=True)


def run_worker(
    workspace: Workspace,
    name: str | None = None,
    *,
    concurrency: int = 1,
    plans: Plans = PLANS,
    announce: Callable[[str], None] = _say,
    beat_s: float = BEAT_S,
    lease_s: float = LEASE_S,
) -> NoReturn:
    """Work until SIGTERM or SIGINT, then stop what is running, hand it back to the queue and end the process.

    On a machine with GPUs the worker leases one, unless CUDA_VISIBLE_DEVICES says which to use. Its jobs see
    no other, whatever number their configuration names.
    What a worker of the same name left when it was killed is continued at once; what one of another name
    left, once its heartbeat has stood still for a lease.

    Args:
        workspace: The workspace.
        name: The worker's name, the same at every start; by default the machine's name and the first free
            number, so that a worker started again takes up what it left.
        concurrency: Heavy jobs (pretrain, score) at a time. Beside them one dataset is ingested at a time.
        plans: The stages of each kind of job.
        announce: Told in a sentence what happens.
        beat_s: Seconds between two heartbeats.
        lease_s: Seconds without a heartbeat after which another worker counts as dead.

    Raises:
        InputError: The name is not acceptable.
        ConflictError: A worker of this name is running, or all GPUs are leased.
        StorageError: A database cannot be opened, or is that of another workspace folder.
    """
    _require_folder(workspace)
    with ExitStack() as stack:
        name = _claim_name(workspace, name, stack)
        finish_deletions(workspace.layout)
        environment = lease_gpu(stack)
        worker = _Worker(workspace, name, concurrency, plans, announce, environment)
        worker.start()
        worker.work(beat_s, lease_s)
        worker.leave()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the queue's library wait for jobs that now belong to others; there is nothing left to join.
    os._exit(0)


class _Worker:
    """The process-wide parts: the queue's library, signals, heartbeats."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        concurrency: int,
        plans: Plans,
        announce: Callable[[str], None],
        environment: Mapping[str, str],
    ) -> None:
        self._workspace = workspace
        self._name = name
        self._concurrency = concurrency
        self._announce = announce
        self._leaving = threading.Event()
        self._url = prepare_database(workspace)
        self._client = DBOSClient(
            system_database_url=self._url,
            application_name=APPLICATION,
            # Otherwise calls wait without end, and with them heartbeats, the look at stages, and leaving.
            retry_connection_errors=False,
        )
        self._heartbeats = Heartbeats(workspace)
        self._executions = Executions(
            workspace, self._client, name, plans, self._leaving, announce, environment, self._heartbeats
        )

    def start(self) -> None:
        """Launch the queue's library; from here on jobs are taken up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        logging.getLogger("dbos").addFilter(_is_news)
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._url,
                "application_version": APPLICATION_VERSION,
                "executor_id": self._name,
                "log_level": "WARNING",
                "run_migrations": False,
            }
        )

        @DBOS.workflow(name=WORKFLOW)
        def job(kind: str, target_id: str) -> bool:
            return self._executions.execute(kind, target_id)

        own_help = help_queue(self._name)
        DBOS.listen_queues([HEAVY_QUEUE, LIGHT_QUEUE, own_help])
        DBOS.launch()
        for queue, at_once in ((HEAVY_QUEUE, self._concurrency), (LIGHT_QUEUE, 1), (own_help, 1)):
            DBOS.register_queue(
                queue, worker_concurrency=at_once, polling_interval_sec=_POLL_S, on_conflict="always_update"
            )

    def work(self, beat_s: float, lease_s: float) -> None:
        """Give signs of life and take over from the dead until asked to leave."""
        started = datetime.now(UTC)
        watch = Watch(self._name, lease_s)
        self._announce(f"Worker {self._name} is ready. Workspace {self._workspace.root}.")
        while True:
            try:
                self._heartbeats.beat(self._name, started, self._executions.job_ids())
                for job_id in take_over(self._client, self._heartbeats, watch):
                    self._announce(f"Job {job_id} was left by a worker that died; it is in the queue again.")
            except DBAPIError as error:
                # A database that restarts is no reason to drop hours of work; the stages do not need it.
                self._announce(f"The database did not answer, trying again: {error.orig}")
            if self._leaving.wait(beat_s):
                return

    def leave(self) -> None:
        """Wait for the stages to stop, then give unfinished jobs back to the queue."""
        self._announce(f"Worker {self._name} is leaving.")
        self._executions.wait_until_stopped(self._workspace.settings.stop_timeout_s + 2)
        DBOS.destroy()
        try:
            for job_id in hand_back(self._client, self._name):
                self._announce(f"Job {job_id} was stopped; a worker will continue it.")
            self._heartbeats.remove(self._name)
        except DBAPIError as error:
            self._announce(
                f"The database did not answer ({error.orig}). What was stopped is continued by this worker "
                "when it is started again, or by another one after some seconds."
            )

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._leaving.is_set():
            # Asked twice: at once. The children end with this process, and the jobs are recovered later.
            os._exit(130)
        self._leaving.set()


def _require_folder(workspace: Workspace) -> None:
    """Refuse a folder that a database beside it knows nothing of: each of its jobs would fail there.

    Such as where the workspace's disk is not mounted on this machine.
    """
    catalogue = workspace.catalogue
    records: list[Dataset | Run] = [*catalogue.select(Dataset), *catalogue.select(Run)]
    if workspace.settings.database_url is None or not records:
        return
    if not any(workspace.directory(record).is_dir() for record in records):
        raise StorageError(
            f"None of the datasets and runs that the database knows is in the folder {workspace.root}. Set "
            "BIOPRUNE_WORKSPACE to the folder that was used with this database, and check that its disk is "
            "mounted."
        )


def _claim_name(workspace: Workspace, name: str | None, stack: ExitStack) -> str:
    """Make a name this process's own until it ends."""
    if name is not None:
        name = check_name(name, "worker")
        stack.enter_context(hold(workspace.layout.workers / f"{name}.lock", f"worker {name}", wait_s=2))
        return name
    for number in range(1, _NAMES):
        candidate = f"{socket.gethostname()}-{number}"
        try:
            lock = hold(workspace.layout.workers / f"{candidate}.lock", f"worker {candidate}", wait_s=0)
            stack.enter_context(lock)
        except ConflictError:
            continue
        return candidate
    raise ConflictError(f"{_NAMES - 1} workers run on this machine already. Stop some.")


def _is_news(record: logging.LogRecord) -> bool:
    """Whether to show what the queue's library logs: that a job was cancelled is said in a sentence already.

    It logs a warning and twenty lines of traceback for it, and every helper's call ends so.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, queue_error.DBOSAwaitedWorkflowCancelledError):
        return False
    return "was cancelled during execution" not in record.getMessage()
