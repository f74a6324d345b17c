"""Idle workers that help with the stage of another: real processes over tiny stages."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from worker_yard import Yard, until, wait_for_state

from bioprune_core.jobs import JobClient, JobKind, JobState


def begun_by_one(yard: Yard, client: JobClient, target: Path) -> str:
    """A job whose stage can be shared, at the worker "one"."""
    yard.start("one")
    job = client.enqueue(JobKind.SCORE, target.name)
    until((target / "begun").exists, "the stage that can be shared")
    return job


def test_a_helper_leaves_for_a_job_of_its_own(yard: Yard) -> None:
    first, second = yard.target("run-1"), yard.target("run-2")
    with yard.client("quick", "shared", "manifest") as client:
        job = begun_by_one(yard, client, first)
        yard.start("two")
        until((first / "helper").exists, "the second worker to help")
        helper = int((first / "helper").read_text())
        own = client.enqueue(JobKind.SCORE, "run-2")
        until((second / "begun").exists, "the second worker's own job")
        until(lambda: not psutil.pid_exists(helper), "the help to end")
        for target in (first, second):
            (target / "released").touch()
        wait_for_state(client, job, JobState.DONE)
        wait_for_state(client, own, JobState.DONE)


def test_a_helper_that_left_and_came_back_helps_again(yard: Yard) -> None:
    """As a scheduler does with it: SIGTERM, and a new start under the same name."""
    target = yard.target("run-1")
    with yard.client("quick", "shared", "manifest") as client:
        job = begun_by_one(yard, client, target)
        helper = yard.start("two")
        until((target / "helper").exists, "the second worker to help")
        helper.send_signal(signal.SIGTERM)
        assert helper.wait(timeout=20) == 0
        (target / "helper").unlink()
        yard.start("two")
        until((target / "helper").exists, "it to help again")
        (target / "released").touch()
        wait_for_state(client, job, JobState.DONE)


def test_a_helper_that_is_sent_home_leaves_no_traceback_in_the_log(
    yard: Yard, capfd: pytest.CaptureFixture[str]
) -> None:
    target = yard.target("run-1")
    with yard.client("quick", "shared", "manifest") as client:
        job = begun_by_one(yard, client, target)
        yard.start("two")
        until((target / "helper").exists, "the second worker to help")
        (target / "released").touch()
        wait_for_state(client, job, JobState.DONE)
    printed, errors = "", ""

    def read() -> str:
        nonlocal printed, errors
        captured = capfd.readouterr()
        printed, errors = printed + captured.out, errors + captured.err
        return printed

    until(lambda: "is stopped (cancelled)" in read(), "the helper to be sent home")
    helper = yard.workers[1]
    helper.send_signal(signal.SIGTERM)
    assert helper.wait(timeout=20) == 0
    read()
    assert "Traceback" not in errors


def calls(target: Path) -> int:
    path = target / "calls"
    return len(path.read_text().split()) if path.exists() else 0


def stays_so(holds: Callable[[], bool], seconds: float = 8.0) -> bool:
    """For the time of two more calls."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not holds():
            return False
        time.sleep(0.1)
    return True


def test_a_worker_that_failed_to_help_is_not_asked_again_but_every_other_is(yard: Yard) -> None:
    """Three fail, each once; one of them, started anew, is a new one."""
    target = yard.target("run-1")
    with yard.client("quick", "shared_in_vain", "manifest") as client:
        job = begun_by_one(yard, client, target)
        helpers = [yard.start(name) for name in ("two", "three", "four")]
        until(lambda: calls(target) == 3, "every one of them to be asked", patience_s=180)
        assert stays_so(lambda: calls(target) == 3)
        helpers[0].send_signal(signal.SIGTERM)
        assert helpers[0].wait(timeout=20) == 0
        yard.start("two")
        until(lambda: calls(target) == 4, "the new one to be asked")
        (target / "released").touch()
        wait_for_state(client, job, JobState.DONE)


def test_a_worker_that_found_nothing_to_do_is_not_asked_again(yard: Yard) -> None:
    target = yard.target("run-1")
    with yard.client("quick", "shared_for_nothing", "manifest") as client:
        job = begun_by_one(yard, client, target)
        yard.start("two")
        until(lambda: calls(target) == 1, "the second worker to help")
        assert stays_so(lambda: calls(target) == 1)
        (target / "released").touch()
        wait_for_state(client, job, JobState.DONE)
