"""A PostgreSQL server of a test module's own: import its fixture `server`."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["restart", "server", "stopped"]


def find_programs() -> dict[str, str]:
    """Paths of the server's programs; skips where one is missing."""
    folders = [None, *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
    found = {}
    for name in ("initdb", "postgres", "pg_ctl"):
        paths = [path for folder in folders if (path := shutil.which(name, path=folder))]
        if not paths:
            pytest.skip(f"no PostgreSQL server to test with: {name} not found")
        found[name] = paths[-1]
    return found


def server_account() -> dict[str, int]:
    """Whom to run the server as, since it refuses to run as root; skips where nobody fits."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": user.pw_uid, "group": user.pw_gid}


def starting(folder: str) -> tuple[str, ...]:
    """Arguments that start a server whose socket is in a folder."""
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    return ("-o", options, "-l", f"{folder}/log", "-w", "start")


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Cut all connections of the server, and start it again at the end."""
    folder = url.partition("host=")[2]
    control, account = find_programs()["pg_ctl"], server_account()

    def call(*arguments: str) -> None:
        command = [control, "-D", f"{folder}/data", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **account)  # type: ignore[call-overload]

    call("-m", "immediate", "stop")
    try:
        yield
    finally:
        call(*starting(folder))


def restart(url: str) -> None:
    """Cut all connections of the server, and start it again after a moment."""
    with stopped(url):
        time.sleep(4)
    time.sleep(4)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of an empty database; skips where no PostgreSQL server can be started."""
    programs, account = find_programs(), server_account()
    # Short, because the path of a socket is limited to 107 bytes, and where any account may enter.
    folder = Path(f"/tmp/bioprune-postgresql-{os.getpid()}")
    folder.mkdir(mode=0o755)
    if account:
        os.chown(folder, account["user"], account["group"])
    data = str(folder / "data")

    def call(program: str, *arguments: str) -> None:
        command = [programs[program], "-D", data, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **account)  # type: ignore[call-overload]

    try:
        call("initdb", "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        call("pg_ctl", *starting(str(folder)))
        yield f"postgresql://tester@/postgres?host={folder}"
        call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
