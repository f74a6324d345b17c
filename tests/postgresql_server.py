"""A PostgreSQL server of a test module's own: import its fixture `server`."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["server"]


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
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        call("pg_ctl", "-o", options, "-l", str(folder / "log"), "-w", "start")
        yield f"postgresql://tester@/postgres?host={folder}"
        call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
