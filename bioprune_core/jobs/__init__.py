"""Work that takes longer than a page: durable jobs, the workers that do them, and how to watch them.

The front door is lazy: the child process of a stage imports this package and must not wait for the queue's
library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.jobs.client import JobClient
    from bioprune_core.jobs.foreground import run_in_foreground
    from bioprune_core.jobs.kinds import JobKind
    from bioprune_core.jobs.status import JobState, JobStatus, StageStatus, WorkerStatus
    from bioprune_core.jobs.worker import run_worker

__all__ = [
    "JobClient",
    "JobKind",
    "JobState",
    "JobStatus",
    "StageStatus",
    "WorkerStatus",
    "run_in_foreground",
    "run_worker",
]

_HOMES = {
    "JobClient": "client",
    "JobKind": "kinds",
    "JobState": "status",
    "JobStatus": "status",
    "StageStatus": "status",
    "WorkerStatus": "status",
    "run_in_foreground": "foreground",
    "run_worker": "worker",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
