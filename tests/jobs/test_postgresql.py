"""Catalogue, queue and heartbeats on a PostgreSQL server of the test's own."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_stages import ORDINARY, SHARDS, make_target, plans

from bioprune_core.errors import ConflictError
from bioprune_core.jobs import JobClient, JobKind, JobState
from bioprune_core.settings import Settings
from bioprune_core.workspace import Workspace

TESTS = Path(__file__).resolve().parents[1]


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


@pytest.fixture
def shared(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("BIOPRUNE_DATABASE_URL", server)
    opened = Workspace.open(tmp_path, Settings(workspace=tmp_path))
    yield opened
    opened.close()


def start(workspace: Workspace, name: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(TESTS / "tiny_worker.py"), str(workspace.root), name, "2", *ORDINARY]
    return subprocess.Popen(command)


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.05)


def test_the_catalogue_keeps_names_on_postgresql(shared: Workspace) -> None:
    project = shared.create_project("On a server")
    with pytest.raises(ConflictError, match="already"):
        shared.create_project("on a SERVER")
    again = Workspace.open(shared.root, shared.settings)
    assert again.project("on a server") == project
    assert not shared.layout.catalogue_file.exists()
    again.delete(project)
    again.close()


def test_workers_share_the_queue_and_take_over_on_postgresql(shared: Workspace) -> None:
    target = shared.layout.run("run-1")
    make_target(target, seconds_per_shard=0.3)
    workers = []
    try:
        with JobClient(shared, plans(*ORDINARY)) as client:
            job = client.enqueue(JobKind.SCORE, "run-1")
            workers.append(start(shared, "first"))
            until((target / "shards" / "1.txt").exists, "the second shard")
            os.kill(workers[0].pid, signal.SIGKILL)
            workers.append(start(shared, "second"))
            until(lambda: client.get(job).state is JobState.DONE, "the job to be done")
            assert client.get(job).worker == "second"
            found = client.find("run-1")
            assert found is not None
            assert found.id == job
            make_target(shared.layout.run("run-2"), seconds_per_shard=2)
            cancelled = client.enqueue(JobKind.SCORE, "run-2")
            until(lambda: client.get(cancelled).state is JobState.RUNNING, "the next job")
            client.cancel(cancelled)
            client.resume(cancelled)
            until(lambda: client.get(cancelled).state is JobState.DONE, "the resumed job")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert len((target / "computed.txt").read_text().split()) <= SHARDS + 1
    assert not shared.layout.jobs_file.exists()
