"""Whatever is named and does not exist, a file as well as a model or a project, ends with code 3."""

from collections.abc import Callable
from typing import Any

import pytest

from bioprune_core.workspace import Workspace

Command = Callable[..., tuple[int, Any]]

IN_POOL = ("--project", "Sample", "--dataset", "pool")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "absent", "--project", "Sample", "--dataset", "new"),
        ("recreate", "absent"),
        ("experiment", "run", "absent"),
        ("experiment", "status", "absent"),
        ("validate", "absent", "--output", "folder"),
        ("score", *IN_POOL, "--model", "absent"),
        ("score", *IN_POOL, "--model", "./absent"),
        ("score", "--project", "absent", "--dataset", "pool", "--model", "tiny"),
        ("pretrain", "--project", "Sample", "--dataset", "absent", "--name", "new"),
        ("select", "absent", "--name", "new"),
        ("export-model", "absent", "--output", "folder"),
        ("jobs", "log", "absent"),
    ],
)
def test_what_does_not_exist_ends_with_three(
    bioprune: Command, sample: Workspace, arguments: tuple[str, ...]
) -> None:
    code, error = bioprune(*arguments)
    assert (code, error["exit_code"], "absent" in error["error"]) == (3, 3, True)
