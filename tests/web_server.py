"""A real web server and a real worker, in processes of their own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

__all__ = ["Server", "free_port", "running_worker"]

REPOSITORY = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A running web server.

    Args:
        port: The port of 127.0.0.1 that it listens on.
        workspace: Its workspace folder.
        log: What it prints.
        process: The process; a new one after each `start`.
    """

    port: int
    workspace: Path
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = "import sys; from app.server import serve; serve(port=int(sys.argv[1]))"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", command, str(self.port)],
                cwd=REPOSITORY,
                env={**os.environ, "BIOPRUNE_WORKSPACE": str(self.workspace)},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{self.url}/_stcore/health").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_worker(workspace: Path, log: Path) -> Iterator[None]:
    """A worker of the workspace, as the command starts it."""
    with log.open("ab") as stream:
        worker = subprocess.Popen(
            [sys.executable, "-m", "bioprune_core.cli", "worker"],
            cwd=REPOSITORY,
            env={**os.environ, "BIOPRUNE_WORKSPACE": str(workspace)},
            stdout=stream,
            stderr=stream,
        )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(timeout=30)
