"""Run the web server and the worker together, and end both with one Ctrl-C."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FrameType

from bioprune_core.errors import BioPruneError, ConflictError, InputError
from bioprune_core.jobs.stage import die_with

__all__ = ["require_free_port", "run_together", "server_command", "worker_command"]

# A worker stops its stage within 5 s; the rest is for the interpreter's own end.
_END_TIMEOUT_S = 10.0
_START_TIMEOUT_S = 60.0
# Of this machine: a proxy of the environment would look for 127.0.0.1 on its own.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def server_command(host: str, port: int) -> list[str]:
    """The command line of the web server, run by this Python."""
    return [sys.executable, "-m", "app.server", "--host", host, "--port", str(port)]


def worker_command() -> list[str]:
    """The command line of a worker, run by this Python."""
    return [sys.executable, "-m", "bioprune_core.cli", "worker"]


def require_free_port(host: str, port: int) -> None:
    """Refuse early when something listens there already.

    Raises:
        InputError: The address is none of this machine's, or the port is for administrators alone.
        ConflictError: The port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InputError(
                    f"Nothing can listen on port {port} of {host} ({error.strerror}). Choose an address of "
                    "this machine with --host, such as 127.0.0.1, and a port from 1024 with --port.",
                    detail=str(error),
                ) from error
            raise ConflictError(
                f"Port {port} on {host} is not free ({error.strerror}). End the program that uses it, "
                "or choose another port with --port.",
                detail=str(error),
            ) from error


def run_together(
    commands: Mapping[str, Sequence[str]],
    health_url: str,
    ready: Callable[[], None],
) -> None:
    """Start the commands, call `ready` once `health_url` answers, and return when a person ends them.

    Every child leads its own process group, so that Ctrl-C reaches only this process, which then ends
    them in order: SIGTERM, and SIGKILL after 10 s. A closed terminal (SIGHUP) ends them as well, unless this
    process was told to outlive it (nohup). Where this process is killed, on Linux the kernel kills them.

    Raises:
        BioPruneError: A child ended by itself; the others are ended too.
    """
    heeded = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) != signal.SIG_IGN]
    previous = {each: signal.signal(each, _interrupt) for each in heeded}
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            children[name] = subprocess.Popen(
                command, start_new_session=True, preexec_fn=partial(die_with, os.getpid())
            )
        _wait_for(health_url, children)
        ready()
        while True:
            _require_alive(children)
            time.sleep(0.2)
    except KeyboardInterrupt:
        return
    finally:
        _end(children)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait_for(url: str, children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        _require_alive(children)
        try:
            with _DIRECTLY.open(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise BioPruneError(f"The web server did not answer at {url} within {_START_TIMEOUT_S:.0f} s.")


def _require_alive(children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for name, child in children.items():
        if child.poll() is not None:
            raise BioPruneError(f"The {name} ended by itself with exit status {child.returncode}.")


def _end(children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + _END_TIMEOUT_S
    for child in children.values():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
