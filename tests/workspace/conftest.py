from collections.abc import Iterator
from pathlib import Path

import pytest

from bioprune_core.workspace import Workspace
from tests.workspace.samples import open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = open_workspace(tmp_path / "workspace")
    yield opened
    opened.close()
