"""Pieces of work that processes share, each read while another is computed and a third one written."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from bioprune_core.claims import claimed, finish_together

WORKER = """
import sys, time
from pathlib import Path
from bioprune_core import claims
from bioprune_core.claims import finish_together

claims._PATIENCE_S = 2.0
folder = Path(sys.argv[1])

def compute(piece, done, _):
    if done.exists():
        return lambda: None
    with (folder / "log").open("a") as stream:
        stream.write(f"{piece}\\n")
    time.sleep(float(sys.argv[3]))

    def write():
        with (folder / "written").open("a") as stream:
            stream.write(f"{piece}\\n")
        done.touch()

    return write

def read(piece):
    return folder / f"{piece}.done"

def tell(text):
    with (folder / "told").open("a") as stream:
        stream.write(f"{text}\\n")

finish_together(12, read, compute, folder / "claims", wait=sys.argv[2] == "wait", tell=tell)
"""
PATIENCE_S = 30.0


def tenfold(_piece: int, given: int, _claim: ExitStack) -> Callable[[], int]:
    return lambda: 10 * given


def same(piece: int) -> int:
    return piece


def is_claimed(claims: Path, piece: int) -> bool:
    with claimed(claims / f"{piece:05d}.lock") as mine:
        return not mine


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


def test_what_a_stopped_process_holds_is_taken_away_from_it_and_it_writes_nothing_later(
    tmp_path: Path,
) -> None:
    helper = start(tmp_path, "help", 1)
    deadline = time.monotonic() + PATIENCE_S
    while not (tmp_path / "log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(helper.pid, signal.SIGSTOP)
    held = (tmp_path / "log").read_text().split()
    assert start(tmp_path, "wait", 0).wait(60) == 0
    assert len(list(tmp_path.glob("*.done"))) == 12
    assert "1 of 12 pieces are held" in (tmp_path / "told").read_text()
    os.kill(helper.pid, signal.SIGCONT)
    assert helper.wait(60) == 0
    computed = (tmp_path / "log").read_text().split()
    assert {piece for piece in computed if computed.count(piece) > 1} == set(held)
    assert sorted(map(int, (tmp_path / "written").read_text().split())) == list(range(12))


def test_who_is_slow_but_gets_on_keeps_its_claims(tmp_path: Path) -> None:
    """Its pieces take less than the patience, all of them together more."""
    helper = start(tmp_path, "help", 0.4)
    deadline = time.monotonic() + PATIENCE_S
    while not (tmp_path / "log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    processes = [helper, start(tmp_path, "wait", 0.4)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert not (tmp_path / "told").exists()


def test_what_a_lost_claim_has_half_written_is_left_in_error(tmp_path: Path) -> None:
    left: list[object] = []

    def compute(piece: int, given: int, claim: ExitStack) -> Callable[[], int]:
        claim.push(lambda kind, *_: left.append(kind))
        if piece == 1:
            (tmp_path / "00001.lock").unlink()
        return lambda: given

    assert sorted(map(str, finish_together(3, same, compute, tmp_path, wait=False))) == ["0", "2", "None"]
    assert len(left) == 3
    assert left.count(None) == 2


def test_a_helper_does_not_read_what_seems_finished(tmp_path: Path) -> None:
    read: list[int] = []

    def noted(piece: int) -> int:
        read.append(piece)
        return piece

    finished = {0, 2, 3}
    results = finish_together(6, noted, tenfold, tmp_path, wait=False, seems_finished=finished.__contains__)
    assert results == [None, 10, None, None, 40, 50]
    assert sorted(read) == [1, 4, 5]


def test_who_waits_makes_sure_of_what_seems_finished(tmp_path: Path) -> None:
    assert finish_together(2, same, tenfold, tmp_path, wait=True, seems_finished=lambda _: True) == [0, 10]


def test_a_helper_leaves_what_others_hold(tmp_path: Path) -> None:
    with claimed(tmp_path / "claims" / "00001.lock") as mine:
        assert mine
        results = finish_together(3, same, tenfold, tmp_path / "claims", wait=False)
    assert results == [0, None, 20]


def test_the_next_is_read_and_the_last_is_written_while_one_is_computed(tmp_path: Path) -> None:
    reading, computing = ([threading.Event() for _ in range(4)] for _ in range(2))

    def read(piece: int) -> int:
        reading[piece].set()
        return piece

    def compute(piece: int, given: int, claim: ExitStack) -> Callable[[], int]:
        computing[piece].set()
        assert piece == 3 or reading[piece + 1].wait(PATIENCE_S)

        def write() -> int:
            # Only the last has no other after it.
            assert piece == 3 or computing[piece + 1].wait(PATIENCE_S)
            return 10 * given

        return write

    assert finish_together(4, read, compute, tmp_path, wait=True) == [0, 10, 20, 30]


def test_memory_is_that_of_three_pieces(tmp_path: Path) -> None:
    lock = threading.Lock()
    alive, most = 0, 0

    def read(_: int) -> None:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)

    def compute(_piece: int, _given: None, _claim: ExitStack) -> Callable[[], None]:
        def write() -> None:
            nonlocal alive
            with lock:
                alive -= 1

        return write

    finish_together(200, read, compute, tmp_path, wait=True)
    assert alive == 0
    assert 1 <= most <= 3


def test_a_claim_is_held_from_before_it_is_computed_until_it_is_written(tmp_path: Path) -> None:
    seen: list[tuple[str, bool]] = []

    def compute(piece: int, _given: int, claim: ExitStack) -> Callable[[], None]:
        seen.append(("computed", is_claimed(tmp_path, piece)))
        # That which is read ahead is left to helpers.
        seen.append(("next", is_claimed(tmp_path, piece + 1)))
        claim.callback(lambda: seen.append(("left", is_claimed(tmp_path, piece))))
        return lambda: seen.append(("written", is_claimed(tmp_path, piece)))

    finish_together(1, same, compute, tmp_path, wait=True)
    assert seen == [("computed", True), ("next", False), ("written", True), ("left", True)]
    assert not is_claimed(tmp_path, 0)


def test_what_another_finished_after_it_was_read_is_found_done(tmp_path: Path) -> None:
    done: set[int] = set()

    def compute(piece: int, given: set[int], _claim: ExitStack) -> Callable[[], str]:
        done.add(1)  # by another process, while piece 0 is computed here
        return lambda: "found" if piece in done else "written"

    assert finish_together(2, lambda _: done, compute, tmp_path, wait=True) == ["written", "found"]


class Unreadable(Exception):
    pass


def test_what_cannot_be_read_is_told_when_its_turn_comes(tmp_path: Path) -> None:
    written: list[int] = []

    def read(piece: int) -> int:
        if piece == 2:
            raise Unreadable
        return piece

    def compute(piece: int, _given: int, _claim: ExitStack) -> Callable[[], None]:
        return lambda: written.append(piece)

    with pytest.raises(Unreadable):
        finish_together(4, read, compute, tmp_path, wait=True)
    assert written == [0, 1]
    assert not any(is_claimed(tmp_path, piece) for piece in range(4))


def test_what_cannot_be_written_is_told_at_the_next_step(tmp_path: Path) -> None:
    computed: list[int] = []
    left: list[int] = []

    def compute(piece: int, _given: int, claim: ExitStack) -> Callable[[], None]:
        computed.append(piece)
        claim.callback(left.append, piece)

        def write() -> None:
            if piece == 1:
                raise OSError("no space")

        return write

    with pytest.raises(OSError, match="no space"):
        finish_together(5, same, compute, tmp_path, wait=True)
    assert computed == [0, 1, 2]
    # Of the piece that was computed for nothing, too.
    assert sorted(left) == [0, 1, 2]
    assert not any(is_claimed(tmp_path, piece) for piece in range(5))


def test_the_last_write_counts_too(tmp_path: Path) -> None:
    def compute(_piece: int, _given: int, _claim: ExitStack) -> Callable[[], float]:
        return lambda: 1 / 0

    with pytest.raises(ZeroDivisionError):
        finish_together(1, same, compute, tmp_path, wait=True)


def test_an_interruption_loses_nothing_that_was_computed(tmp_path: Path) -> None:
    written: list[int] = []

    def compute(piece: int, _given: int, _claim: ExitStack) -> Callable[[], None]:
        if piece == 3:
            raise KeyboardInterrupt
        return lambda: written.append(piece)

    with pytest.raises(KeyboardInterrupt):
        finish_together(9, same, compute, tmp_path, wait=True)
    assert written == [0, 1, 2]
