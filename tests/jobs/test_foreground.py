import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_stages import ORDINARY, SHARDS, make_target, plans

from bioprune_core.errors import BioPruneError, ConflictError, InputError, NotFoundError, StageError
from bioprune_core.jobs import JobKind, run_in_foreground
from bioprune_core.progress import Progress
from bioprune_core.storage import read_json
from bioprune_core.workspace import EventKind, State, Workspace, read_events, state_of
from bioprune_core.workspace.locks import JOB_LOCK, hold


def run(workspace: Workspace, *stages: str) -> list[Progress]:
    seen: list[Progress] = []
    run_in_foreground(workspace, JobKind.SCORE, "run-1", seen.append, plans(*stages))
    return seen


def test_stages_run_in_order_and_tell_their_progress(workspace: Workspace, target: Path) -> None:
    seen = run(workspace, *ORDINARY)
    assert seen[0] == Progress("quick", 1, 1, "steps", {"loss": 0.5})
    assert (seen[-1].stage, seen[-1].done) == ("shards", SHARDS)
    assert state_of(target) is State.DONE
    assert read_json(target / "manifest.json")["answer"] == 42
    record = read_json(target / "stages" / "shards.json")
    assert record["evidence"] == {"shards": SHARDS}
    assert record["seconds"] > 0
    assert record["peak_memory_bytes"] > 1_000_000
    kinds = [event.kind for event in read_events(target) if event.kind.is_state]
    assert kinds == [EventKind.STARTED, EventKind.FINISHED]


def test_a_finished_target_is_not_computed_again(workspace: Workspace, target: Path) -> None:
    run(workspace, *ORDINARY)
    before = sorted((path, path.stat().st_mtime_ns) for path in target.rglob("*"))
    assert run(workspace, *ORDINARY) == []
    assert sorted((path, path.stat().st_mtime_ns) for path in target.rglob("*")) == before


def test_a_failure_keeps_its_class_and_sentence(workspace: Workspace, target: Path) -> None:
    with pytest.raises(InputError, match="The file is empty") as caught:
        run(workspace, "quick", "refuse", "manifest")
    assert caught.value.detail == "0 bytes"
    assert state_of(target) is State.FAILED
    last = read_events(target)[-1]
    assert (last.kind, last.stage, last.message) == (EventKind.FAILED, "refuse", caught.value.message)
    assert "Traceback" in (target / "logs" / "refuse.log").read_text()


def test_an_unexpected_failure_is_a_sentence_with_the_traceback_in_the_log(
    workspace: Workspace, target: Path
) -> None:
    with pytest.raises(StageError, match=r"failed unexpectedly \(IndexError: list index out of range\)"):
        run(workspace, "crash")
    assert "Traceback" in (target / "logs" / "crash.log").read_text()


def test_what_is_finished_is_not_computed_again_after_a_failure(workspace: Workspace, target: Path) -> None:
    with pytest.raises(InputError):
        run(workspace, "shards", "refuse_once", "manifest")
    with pytest.raises(BioPruneError):  # No stage "quick" has left its evidence.
        run(workspace, "shards", "refuse_once", "manifest")
    run(workspace, "shards", "refuse_once", "quick", "manifest")
    assert (target / "computed.txt").read_text().split() == [str(shard) for shard in range(SHARDS)]


@pytest.mark.parametrize("deaths", [1, 3])
def test_a_stage_killed_from_outside_is_started_again(
    workspace: Workspace, target: Path, deaths: int
) -> None:
    make_target(target, deaths=deaths)
    run(workspace, "quick", "die_at_times", "manifest")
    restarts = [event for event in read_events(target) if event.kind is EventKind.STAGE_RESTARTED]
    assert len(restarts) == deaths
    assert "SIGKILL" in restarts[0].message
    assert state_of(target) is State.DONE


def test_a_stage_killed_again_and_again_fails_with_a_sentence(workspace: Workspace, target: Path) -> None:
    make_target(target, deaths=4)
    with pytest.raises(StageError, match=r"ended 4 times from outside \(SIGKILL\).* out of memory"):
        run(workspace, "die_at_times")
    run(workspace, "die_at_times")  # Started again by a person it goes on.


def test_a_stage_that_gets_further_between_its_deaths_is_started_again_as_often_as_it_takes(
    workspace: Workspace, target: Path
) -> None:
    make_target(target, deaths=6, further=True)
    run(workspace, "quick", "die_at_times", "manifest")
    assert state_of(target) is State.DONE


def test_what_a_stage_has_to_tell_stands_among_its_events(workspace: Workspace, target: Path) -> None:
    run(workspace, "tell")
    (told,) = [event for event in read_events(target) if event.kind is EventKind.NOTE]
    assert (told.stage, told.message) == ("tell", "A worker hangs.")


def test_half_written_files_of_a_killed_stage_are_removed(workspace: Workspace, target: Path) -> None:
    (target / "shards" / ".ingest.part").mkdir(parents=True)
    (target / "shards" / ".3.txt.4711.part").write_text("half")
    run(workspace, *ORDINARY)
    assert list(target.rglob(".*.part")) == []


def test_a_missing_target_is_said_so(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match=r"no dataset dataset-9 .* perhaps it was deleted"):
        run_in_foreground(workspace, JobKind.INGEST, "dataset-9")


def test_a_target_that_another_process_computes_is_refused(workspace: Workspace, target: Path) -> None:
    with (
        hold(target / JOB_LOCK, "run"),
        pytest.raises(ConflictError, match="Another process works on run run-1"),
    ):
        run(workspace, *ORDINARY)


SCRIPT = """
import sys
from pathlib import Path
from bioprune_core.jobs import JobKind, run_in_foreground
from tiny_stages import plans
from workspace_samples import open_workspace
run_in_foreground(open_workspace(Path(sys.argv[1])), JobKind.SCORE, "run-1", plans=plans(*sys.argv[2:]))
"""


@contextmanager
def started(workspace: Workspace, *stages: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that computes run-1; killed at the end of the block, however that comes about."""
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(workspace.root), *stages]) as command:
        try:
            yield command
        finally:
            command.kill()


def wait_for(path: Path) -> None:
    # Only a hang takes so long; a busy machine needs some seconds to load the libraries.
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def stage_processes(target: Path) -> list[str]:
    """Command lines of the stages at work in a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # It ended while we looked.
        if "bioprune_core.jobs." in line and str(target) in line:
            found.append(line)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_stage_ends_with_the_command_and_the_next_call_goes_on(
    workspace: Workspace, target: Path, number: signal.Signals
) -> None:
    make_target(target, seconds_per_shard=0.2)
    with started(workspace, *ORDINARY) as command:
        wait_for(target / "shards" / "2.txt")
        os.kill(command.pid, number)
        command.wait(timeout=30)
    deadline = time.monotonic() + 5
    while stage_processes(target):
        assert time.monotonic() < deadline, "the stage outlived its command"
        time.sleep(0.02)
    assert state_of(target) is State.INTERRUPTED
    run(workspace, *ORDINARY)
    assert state_of(target) is State.DONE
    computed = (target / "computed.txt").read_text().split()
    assert len(computed) <= SHARDS + 1  # At most the shard in hand was computed twice.


def test_a_stubborn_stage_is_killed(workspace: Workspace, target: Path) -> None:
    with started(workspace, "stubborn") as command:
        wait_for(target / "stubborn")
        os.kill(command.pid, signal.SIGINT)
        command.wait(timeout=workspace.settings.stop_timeout_s + 30)
        assert stage_processes(target) == []
