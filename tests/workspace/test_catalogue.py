"""What is said where the catalogue's database cannot be used, and what is left then: nothing half."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from workspace_samples import open_workspace, sample_project

from bioprune_core.errors import DiskFullError, StorageError
from bioprune_core.selection import SelectionConfig
from bioprune_core.settings import Settings
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.catalogue import Catalogue, database_engine


@pytest.fixture
def full(workspace: Workspace) -> Workspace:
    """One whose database may grow by no further page."""
    with workspace.catalogue.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    return workspace


def test_a_change_that_the_disk_has_no_space_for_gets_a_sentence(full: Workspace) -> None:
    with pytest.raises(DiskFullError, match=r"No space left .*catalogue\.db\. Free some space") as caught:
        for number in range(100):
            full.create_project(f"project {number}")
    assert caught.value.exit_code == 5
    assert full.projects(), "it can be read as before"


def test_a_dataset_that_gets_no_row_leaves_no_folder(full: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "sample.fa"
    source.write_text(">a\nACGU\n")
    project = full.create_project("p")
    with pytest.raises(DiskFullError):
        for number in range(100):
            full.create_dataset(project, f"d {number}", [source])
    folders = {path.name for path in (full.root / "datasets").iterdir()}
    assert folders == {dataset.id for dataset in full.datasets()}


def test_a_coreset_that_gets_no_row_leaves_no_folder(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, run = sample_project(workspace, tmp_path / "sample.fa")

    def refuse(*_arguments: object, **_columns: object) -> None:
        raise DiskFullError("No space left.")

    monkeypatch.setattr(workspace.catalogue, "add", refuse)
    with pytest.raises(DiskFullError):
        workspace.create_coreset(run, "small", SelectionConfig())
    assert list((workspace.root / "coresets").iterdir()) == []


def test_opening_on_a_full_disk_names_the_disk(
    workspace: Workspace, files_end_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    workspace.close()
    # Enough for the lock, and not for the index of SQLite's log.
    with files_end_at(1_000), pytest.raises(DiskFullError, match=r"the disk that holds .*catalogue\.db"):
        Catalogue(f"sqlite:///{workspace.layout.catalogue_file}")


def test_a_file_that_is_no_database_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").write_bytes(b"x" * 5_000)
    with pytest.raises(StorageError, match=r"catalogue\.db cannot be used: file is not a database\. Check"):
        open_workspace(tmp_path)


def test_an_unreachable_database_is_said_so_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://user:secret@127.0.0.1:1/none"
    with pytest.raises(StorageError, match=r"cannot be used: .*refused") as caught:
        Workspace.open(tmp_path, Settings(workspace=tmp_path, database_url=url))
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("backend", ["mysql", "postgres"])
def test_the_url_of_another_database_is_refused_with_the_one_to_write(backend: str) -> None:
    with pytest.raises(StorageError, match=rf"begins with {backend}://\. .* as postgresql://user") as caught:
        database_engine(f"{backend}://user:secret@host/none")
    assert "secret" not in caught.value.message
