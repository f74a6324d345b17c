"""The workspace that the tests of a module share."""

from collections.abc import Iterator

import pytest
from laboratory_trial import make_workspace

from bioprune_core.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = make_workspace(tmp_path_factory.mktemp("laboratory"))
    yield made
    made.close()
