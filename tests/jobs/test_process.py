import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_stages import make_target

from bioprune_core.errors import InputError
from bioprune_core.jobs.child import CAN_FORK
from bioprune_core.jobs.kinds import Stage
from bioprune_core.jobs.process import StageRunner, StageStopped, StopReason
from bioprune_core.storage import read_json
from bioprune_core.workspace import EventKind, read_events

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="stages have a common host on Linux alone")


@pytest.fixture
def runner(target: Path) -> Iterator[StageRunner]:
    make_target(target)
    with closing(StageRunner(target, stop_timeout_s=2)) as runner:
        yield runner


def go_on() -> None:
    return None


def named(runner: StageRunner, target: Path, name: str) -> dict[str, Any]:
    """The processes that computed a stage."""
    runner.run(Stage(name, "tiny_stages:name_itself"), go_on)
    evidence: dict[str, Any] = read_json(target / "stages" / f"{name}.json")["evidence"]
    return evidence


def hosts() -> list[psutil.Process]:
    """Of this process, which may have children of other tests."""
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "bioprune_core.jobs.host" in child.cmdline()]


def test_stages_of_one_module_are_forks_of_one_process(runner: StageRunner, target: Path) -> None:
    first, second = named(runner, target, "first"), named(runner, target, "second")
    assert first["host"] == second["host"]
    assert len({first["process"], second["process"], first["host"], os.getpid()}) == 4
    assert psutil.pid_exists(first["host"])
    runner.close()
    assert not psutil.pid_exists(first["host"])


def test_a_stage_of_another_module_has_another_host(runner: StageRunner, target: Path) -> None:
    first = named(runner, target, "first")
    runner.run(Stage("second", "builtins:print"), go_on)
    assert not psutil.pid_exists(first["host"])


def test_a_host_that_was_killed_between_stages_is_replaced(runner: StageRunner, target: Path) -> None:
    first = named(runner, target, "first")
    os.kill(first["host"], signal.SIGKILL)
    second = named(runner, target, "second")
    assert second["host"] != first["host"]


def test_a_host_that_is_killed_takes_its_stage_with_it_and_the_stage_begins_anew(
    runner: StageRunner, target: Path
) -> None:
    make_target(target, seconds_per_shard=0.1)
    children: list[psutil.Process] = []

    def kill_once() -> None:
        if not children and (target / "shards" / "2.txt").exists():
            (host,) = hosts()
            children.extend([host, *host.children()])
            host.kill()

    runner.run(Stage("shards", "tiny_stages:shards"), kill_once)
    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=5)[1] == []
    computed = (target / "computed.txt").read_text().split()
    assert sorted(set(computed)) == sorted("01234567")
    assert len(computed) <= 9  # at most the shard in hand was computed twice


def test_a_stage_that_is_to_stop_may_end_as_it_likes(runner: StageRunner, target: Path) -> None:
    started = time.monotonic()
    with pytest.raises(StageStopped):
        runner.run(
            Stage("stubborn", "tiny_stages:stubborn"),
            lambda: StopReason.CANCELLED if (target / "stubborn").exists() else None,
        )
    # It ignores the request, and is killed after the two seconds that it has.
    assert 2 <= time.monotonic() - started < 60
    assert hosts() == []


def test_a_stage_that_gets_the_workers_signal_before_the_worker_is_stopped_not_restarted(
    runner: StageRunner, target: Path
) -> None:
    """A scheduler that ends a job signals every process of it, the stage perhaps first."""
    make_target(target, seconds_per_shard=0.1)
    signalled: list[float] = []

    def leave() -> StopReason | None:
        if not signalled and (target / "shards" / "2.txt").exists():
            (host,) = hosts()
            os.killpg(host.pid, signal.SIGTERM)
            signalled.append(time.monotonic())
        is_told = signalled and time.monotonic() - signalled[0] > 0.3
        return StopReason.LEAVING if is_told else None

    with pytest.raises(StageStopped):
        runner.run(Stage("shards", "tiny_stages:shards"), leave)
    assert EventKind.STAGE_RESTARTED not in {event.kind for event in read_events(target)}


def test_after_a_failure_the_next_stage_has_a_new_host(runner: StageRunner, target: Path) -> None:
    first = named(runner, target, "first")
    with pytest.raises(InputError, match="empty"):
        runner.run(Stage("refuse", "tiny_stages:refuse"), go_on)
    assert named(runner, target, "second")["host"] != first["host"]


def test_a_module_that_cannot_be_loaded_fails_in_the_stage(runner: StageRunner, target: Path) -> None:
    with pytest.raises(Exception, match="No module named 'no_such_module'"):
        runner.run(Stage("first", "no_such_module:nothing"), go_on)
    assert "Traceback" in (target / "logs" / "first.log").read_text()


def test_loading_the_scoring_opens_no_device() -> None:
    """A process that has opened a GPU cannot fork children that use it."""
    code = """
import torch

asked = []
for name in ("_lazy_init", "device_count", "current_device", "get_device_properties"):
    setattr(torch.cuda, name, lambda *_, name=name, **__: asked.append(name))
import bioprune_core.jobs.score_stages
assert not asked, asked
"""
    subprocess.run([sys.executable, "-c", code], check=True)
