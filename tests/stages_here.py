"""Stages in this process, for tests whose subject is what they compute.

A child process would load torch for itself, which takes longer than all stages of a small pool.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from bioprune_core.jobs import JobKind
from bioprune_core.jobs.drive import compute_stages, target_directory
from bioprune_core.jobs.kinds import PLANS, Plans, Stage
from bioprune_core.jobs.stage import compute
from bioprune_core.workspace import Workspace

__all__ = ["RunnerHere", "compute_here"]


class RunnerHere:
    """Stands in for `StageRunner`.

    Args:
        directory: Folder of the dataset, model or run.
    """

    def __init__(self, directory: Path, *_settings: object) -> None:
        self._directory = directory

    def run(self, stage: Stage, should_stop: Callable[[], object] = lambda: None) -> None:
        # As in the tests' child processes: more threads would add up in another order.
        torch.set_num_threads(1)
        compute(self._directory, stage.name, stage.function)
        should_stop()

    def close(self) -> None:
        """There is nothing to end."""


def compute_here(workspace: Workspace, kind: JobKind, target_id: str, plans: Plans = PLANS) -> None:
    """What `run_in_foreground` does, without progress."""
    directory = target_directory(workspace.layout, kind, target_id)
    what = f"{kind.target} {target_id}"
    compute_stages(directory, what, plans[kind], RunnerHere(directory).run, lock_wait_s=0)
