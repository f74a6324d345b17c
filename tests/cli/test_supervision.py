"""The processes that are run together answer, and end with the one that runs them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from worker_yard import until

from bioprune_core.cli.supervision import run_together


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def url() -> Iterator[str]:
    """Where something answers."""
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/health"
        server.shutdown()
        thread.join()


@pytest.fixture
def sleeper(tmp_path: Path) -> dict[str, list[str]]:
    """A command that notes its process in the file `process` and would go on for ten minutes."""
    note = f"echo $$ > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/process; exec sleep 600"
    return {"sleeper": ["sh", "-c", note]}


def is_running(process: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    return False


def end() -> None:
    raise KeyboardInterrupt


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    url: str, sleeper: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    run_together(sleeper, url, ready=end)


def test_a_closed_terminal_ends_all(url: str, sleeper: dict[str, list[str]], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGHUP)
    started: list[int] = []

    def hang_up() -> None:
        until((tmp_path / "process").exists, "the process to start")
        started.append(int((tmp_path / "process").read_text()))
        os.kill(os.getpid(), signal.SIGHUP)

    run_together(sleeper, url, hang_up)
    assert not is_running(started[0])
    assert signal.getsignal(signal.SIGHUP) is before


def test_all_outlive_the_terminal_where_asked_to(url: str, sleeper: dict[str, list[str]]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # What nohup does.
    survived: list[bool] = []

    def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        survived.append(True)
        raise KeyboardInterrupt

    try:
        run_together(sleeper, url, hang_up)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert survived


def test_nothing_outlives_a_killed_supervisor(
    url: str, sleeper: dict[str, list[str]], tmp_path: Path
) -> None:
    supervisor = multiprocessing.get_context("fork").Process(
        target=run_together, args=(sleeper, url, lambda: None)
    )
    supervisor.start()
    until((tmp_path / "process").exists, "the process to start")
    process = int((tmp_path / "process").read_text())
    supervisor.kill()
    supervisor.join()
    until(lambda: not is_running(process), "the process to end")
