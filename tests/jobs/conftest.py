import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_stages import make_target
from worker_yard import Yard
from workspace_samples import open_workspace

from bioprune_core.jobs.kinds import JobKind, directory_of
from bioprune_core.workspace import Workspace

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def stages_in_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets child processes import the tiny stages."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = open_workspace(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def target(workspace: Workspace) -> Path:
    """The folder of the run "run-1", which the tiny stages fill."""
    directory = directory_of(workspace.layout, JobKind.SCORE, "run-1")
    make_target(directory)
    return directory


@pytest.fixture
def yard(workspace: Workspace) -> Iterator[Yard]:
    made = Yard(workspace)
    yield made
    for worker in made.workers:
        worker.kill()
        worker.wait()
