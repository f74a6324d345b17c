"""Stages of a second or less for the tests of jobs: they do nothing, slowly, badly or with interruptions."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.kinds import JobKind, Plans, Stage
from bioprune_core.progress import Progress
from bioprune_core.storage import atomic_path, write_json

SHARDS = 8


def quick(context: StageContext) -> Mapping[str, Any]:
    context.report(Progress("quick", 1, 1, "steps", {"loss": 0.5}))
    return {"answer": 42}


def name_itself(context: StageContext) -> Mapping[str, Any]:
    return {"process": os.getpid(), "host": os.getppid()}


def shards(context: StageContext) -> Mapping[str, Any]:
    """Writes shards one after the other and notes which it computed, not found."""
    seconds = float(context.config.get("seconds_per_shard", 0.01))
    for shard in range(SHARDS):
        path = context.directory / "shards" / f"{shard}.txt"
        if not path.is_file():
            time.sleep(seconds)
            with (context.directory / "computed.txt").open("a") as stream:
                stream.write(f"{shard}\n")
            with atomic_path(path) as part:
                part.write_text(f"shard {shard}\n")
        context.report(Progress("shards", shard + 1, SHARDS, "shards"))
    return {"shards": SHARDS}


def manifest(context: StageContext) -> Mapping[str, Any]:
    write_json(
        context.directory / "manifest.json",
        {"kind": "run", "content_hash": "0", "answer": context.evidence("quick")["answer"]},
    )
    return {}


def tell(context: StageContext) -> Mapping[str, Any]:
    context.tell("A worker hangs.")
    return {}


def refuse(context: StageContext) -> Mapping[str, Any]:
    raise InputError("The file is empty. Give one with sequences.", detail="0 bytes")


def crash(context: StageContext) -> Mapping[str, Any]:
    return {"none": [][1]}  # type: ignore[misc]


def refuse_once(context: StageContext) -> Mapping[str, Any]:
    marker = context.directory / "refused"
    if not marker.exists():
        marker.touch()
        raise InputError("Not this time.")
    return {"answer": 42}


def die_at_times(context: StageContext) -> Mapping[str, Any]:
    """Is killed as often as the configuration says, every time at the same place or further on."""
    deaths = context.directory / "deaths"
    count = int(deaths.read_text()) if deaths.exists() else 0
    context.report(Progress("die-at-times", count if context.config.get("further") else 1, None, "steps"))
    if count < int(context.config["deaths"]):
        deaths.write_text(str(count + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return {"answer": 42}


def stubborn(context: StageContext) -> Mapping[str, Any]:
    """Ignores SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (context.directory / "stubborn").touch()
    context.report(Progress("stubborn", 0, None, "steps"))
    time.sleep(120)
    return {}


def shared(context: StageContext) -> Mapping[str, Any]:
    """Goes on until it is released; others can help."""
    (context.directory / "begun").touch()
    while not (context.directory / "released").exists():
        time.sleep(0.05)
    return {}


def join_shared(context: StageContext) -> None:
    (context.directory / "helper").write_text(str(os.getpid()))
    time.sleep(120)


shared_for_nothing = shared_in_vain = shared


def join_for_nothing(context: StageContext) -> int:
    """Finds nothing to do."""
    _note_call(context)
    return 0


def join_in_vain(context: StageContext) -> int:
    """Fails."""
    _note_call(context)
    raise InputError("Not on this machine.")


def _note_call(context: StageContext) -> None:
    with (context.directory / "calls").open("a") as stream:
        stream.write(f"{os.getpid()}\n")


def join_writing(context: StageContext) -> None:
    """Has a file half written until it is released."""
    with atomic_path(context.directory / "helped.txt") as part:
        part.write_text("half")
        (context.directory / "writing").touch()
        while not (context.directory / "released").exists():
            time.sleep(0.02)
        with part.open("a") as stream:
            stream.write(" and half")


_HELP = {
    "shared": "tiny_stages:join_shared",
    "shared_for_nothing": "tiny_stages:join_for_nothing",
    "shared_in_vain": "tiny_stages:join_in_vain",
}


def plan(*names: str) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            name.replace("_", "-"),
            f"tiny_stages:{name}",
            help=_HELP.get(name, ""),
        )
        for name in names
    )


def plans(*names: str) -> Plans:
    """The same stages for every kind of job."""
    return {kind: plan(*names) for kind in JobKind}


ORDINARY = ("quick", "shards", "manifest")


def make_target(directory: Path, **config: Any) -> None:
    """A directory that the tiny stages can fill."""
    write_json(directory / "config.json", {"kind": "run", **config})
