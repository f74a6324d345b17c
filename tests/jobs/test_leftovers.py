"""Half-written files: those of killed processes go when a stage begins, those of living helpers stay."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from worker_yard import until

from bioprune_core.jobs.stage import compute


@contextmanager
def helper_that_writes(target: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A helper in the middle of a file; killed at the end of the block, however that comes about."""
    arguments = (str(target), "shared", "tiny_stages:join_writing", str(os.getpid()))
    with subprocess.Popen([sys.executable, "-m", "bioprune_core.jobs.help", *arguments]) as helper:
        try:
            until((target / "writing").exists, "the helper to write")
            yield helper
        finally:
            helper.kill()


def parts(target: Path) -> list[Path]:
    return list(target.rglob(".*.part"))


def test_a_stage_that_begins_leaves_what_a_helper_is_writing(target: Path) -> None:
    with helper_that_writes(target) as helper:
        compute(target, "quick", "tiny_stages:quick")
        (target / "released").touch()
        assert helper.wait(timeout=30) == 0
    assert (target / "helped.txt").read_text() == "half and half"


def test_a_stage_that_begins_removes_what_a_killed_helper_was_writing(target: Path) -> None:
    with helper_that_writes(target) as helper:
        os.kill(helper.pid, signal.SIGKILL)
        helper.wait()
    assert len(parts(target)) == 1
    compute(target, "quick", "tiny_stages:quick")
    assert parts(target) == []
    assert not (target / "helped.txt").exists()


def test_what_another_removes_meanwhile_is_no_failure(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (target / ".scores.part").write_text("half")
    found = parts(target)
    found[0].unlink()
    monkeypatch.setattr(Path, "rglob", lambda *_: iter(found))
    compute(target, "quick", "tiny_stages:quick")
