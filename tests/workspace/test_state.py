import subprocess
import sys
from pathlib import Path

import pytest

from bioprune_core.errors import ConflictError
from bioprune_core.workspace import EventKind, EventLog, State, state_of
from bioprune_core.workspace.locks import JOB_LOCK, hold, is_held


def test_the_state_follows_the_files(tmp_path: Path) -> None:
    assert state_of(tmp_path) is State.NEW
    log = EventLog(tmp_path)
    with hold(tmp_path / JOB_LOCK, "run x"):
        log.write(EventKind.STARTED)
        assert state_of(tmp_path) is State.RUNNING
    assert state_of(tmp_path) is State.INTERRUPTED
    for kind, state in ((EventKind.FAILED, State.FAILED), (EventKind.CANCELLED, State.CANCELLED)):
        log.write(kind)
        assert state_of(tmp_path) is state
    (tmp_path / "manifest.json").write_text("{}")
    assert state_of(tmp_path) is State.DONE


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    lock = tmp_path / JOB_LOCK
    with (
        hold(lock, "run x"),
        pytest.raises(ConflictError, match=r"Another process works on run x \(process \d+ on "),
        hold(lock, "run x", wait_s=0),
    ):
        pass
    with hold(lock, "run x", wait_s=0):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from bioprune_core.workspace.locks import hold\n"
        "with hold(Path(sys.argv[1]), 'x'):\n    print('held', flush=True); time.sleep(60)\n"
    )
    lock = tmp_path / JOB_LOCK
    with subprocess.Popen([sys.executable, "-c", script, str(lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_held(lock)
        process.kill()
    assert not is_held(lock)
