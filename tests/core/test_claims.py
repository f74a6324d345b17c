"""Pieces of work that processes share."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bioprune_core.claims import claimed, finish_together

WORKER = """
import sys, time
from pathlib import Path
from bioprune_core.claims import finish_together

folder = Path(sys.argv[1])

def finish(piece):
    done = folder / f"{piece}.done"
    if not done.exists():
        with (folder / "log").open("a") as stream:
            stream.write(f"{piece}\\n")
        time.sleep(float(sys.argv[3]))
        done.touch()

finish_together(12, finish, folder / "claims", wait=sys.argv[2] == "wait")
"""


def start(folder: Path, wait: str, seconds: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), wait, str(seconds)])


def test_every_piece_is_done_once_and_seen_done_by_who_waits(tmp_path: Path) -> None:
    processes = [start(tmp_path, "wait", 0.05), start(tmp_path, "help", 0.05), start(tmp_path, "help", 0.05)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    done = (tmp_path / "log").read_text().split()
    assert sorted(map(int, done)) == list(range(12))


def test_what_a_killed_process_had_claimed_is_done_by_another(tmp_path: Path) -> None:
    doomed = start(tmp_path, "help", 30)
    deadline = time.monotonic() + 30
    while not (tmp_path / "log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    waiting = start(tmp_path, "wait", 0)
    while len(list(tmp_path.glob("*.done"))) < 11:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait()
    assert waiting.wait(30) == 0
    assert len(list(tmp_path.glob("*.done"))) == 12


def test_a_helper_leaves_what_others_hold(tmp_path: Path) -> None:
    with claimed(tmp_path / "claims" / "00001.lock") as mine:
        assert mine
        results = finish_together(3, lambda piece: piece * 10, tmp_path / "claims", wait=False)
    assert results == [0, None, 20]
