from collections.abc import Iterator
from pathlib import Path

import pytest
from workspace_samples import open_workspace

from bioprune_core.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = open_workspace(tmp_path / "workspace")
    yield opened
    opened.close()
