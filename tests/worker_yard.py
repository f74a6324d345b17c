"""Real worker processes over tiny stages, for the tests of jobs."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tiny_stages import ORDINARY, make_target, plans

from bioprune_core.jobs import JobClient, JobKind, JobState, JobStatus
from bioprune_core.jobs.kinds import directory_of
from bioprune_core.workspace import Workspace

__all__ = ["Yard", "suspend", "until", "wait_for_state"]

TESTS = Path(__file__).resolve().parent
PATIENCE_S = 60.0
"""Only a hang takes so long; a busy machine needs some seconds."""


def until(holds: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {patience_s} s in vain for: {what}"
        time.sleep(0.05)


class Yard:
    """A workspace with a queue and the workers started on it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.stages = ORDINARY
        self.workers: list[subprocess.Popen[bytes]] = []

    def client(self, *stages: str) -> JobClient:
        self.stages = stages or self.stages
        return JobClient(self.workspace, plans(*self.stages))

    def start(self, name: str = "", lease_s: float = 2.0) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            str(TESTS / "tiny_worker.py"),
            str(self.workspace.root),
            name,
            str(lease_s),
        ]
        self.workers.append(subprocess.Popen([*command, *self.stages]))
        return self.workers[-1]

    def target(self, name: str, kind: JobKind = JobKind.SCORE, **config: object) -> Path:
        directory = directory_of(self.workspace.layout, kind, name)
        make_target(directory, **config)
        return directory


def suspend(worker: subprocess.Popen[bytes], jobs_file: Path) -> None:
    """Stop it between two of its writes: in the middle of one, it would keep everybody out."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        # One thread after the other stops; until then one of them may begin to write.
        until(lambda: is_stopped(worker.pid), "the worker to stop")
        with closing(sqlite3.connect(jobs_file, timeout=0.2)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
                return
            except sqlite3.OperationalError:
                worker.send_signal(signal.SIGCONT)
        time.sleep(0.05)


def is_stopped(process: int) -> bool:
    """Whether all of its threads are."""
    statistics = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/stat")]
    return all(text.rpartition(")")[2].split()[0] == "T" for text in statistics)


def wait_for_state(client: JobClient, job_id: str, state: JobState) -> JobStatus:
    until(lambda: client.get(job_id).state is state, f"{job_id} to be {state}")
    return client.get(job_id)
