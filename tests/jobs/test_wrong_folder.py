from contextlib import closing
from pathlib import Path

import pytest

from bioprune_core.errors import InputError, StorageError
from bioprune_core.jobs import run_worker
from bioprune_core.settings import Settings
from bioprune_core.workspace import Workspace


def test_a_worker_refuses_a_folder_that_is_not_the_database_s(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/shared.db")
    (tmp_path / "pool.fasta").write_text(">a\nACGU\n")
    with closing(Workspace.open(tmp_path / "mounted", settings)) as right:
        project = right.create_project("lab")
        right.create_dataset(project, "pool", [tmp_path / "pool.fasta"])
        # A wrong name is refused next: the folder passed.
        with pytest.raises(InputError, match="worker"):
            run_worker(right, " ")
    with (
        closing(Workspace.open(tmp_path / "empty", settings)) as wrong,
        pytest.raises(StorageError, match=r"that the database knows is in the folder .*empty"),
    ):
        run_worker(wrong, " ")
