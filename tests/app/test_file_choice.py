"""A dataset is made of the files that the page shows, whatever others do meanwhile."""

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import finish_dataset

from app import file_choice, gone_choice
from app.services import uploads
from app.uploads import Upload
from bioprune_core.workspace import Project, Workspace


def _page() -> None:
    from app.data_form import new_dataset
    from app.services import workspace

    (project,) = workspace().projects()
    new_dataset(project)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person's browser says that it has sent; the component itself needs one."""
    ids: list[str] = []

    def uploader(project: str, key: str) -> Sequence[str]:
        return tuple(ids)

    monkeypatch.setattr(file_choice, "uploader", uploader)
    return ids


@pytest.fixture
def project(served: Workspace, sent: list[str]) -> Project:
    return served.create_project("Lab")


def _put(project: Project, name: str, letters: str = "ACGUACGU", modified: int = 0) -> Upload:
    store, content = uploads(), f">a\n{letters}\n".encode()
    upload = store.begin(project.id, name, len(content), modified)
    with store.chunk(upload.id, 0) as chunk:
        chunk.write(content)
        store.accept(upload.id, 0, chunk.commit(zlib.crc32(content)))
    return store.get(upload.id)


def _opened() -> AppTest:
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception
    return page


def _press(page: AppTest, key: str) -> None:
    page.button(key=key).click().run(timeout=60)
    assert not page.exception


def _read(page: AppTest) -> None:
    _press(page, "ingest")


def _made(workspace: Workspace) -> list[tuple[str, list[str]]]:
    """Names and files of the datasets."""
    return [(each.name, list(workspace.config(each)["files"])) for each in workspace.datasets()]


def _said(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


def test_of_two_uploads_of_one_name_the_one_is_read_that_was_chosen(
    served: Workspace, project: Project
) -> None:
    old, new = _put(project, "pool.fasta", modified=1), _put(project, "pool.fasta", "GGGGACGU", modified=2)
    page = _opened()
    files = page.multiselect[0]
    assert len(set(files.options)) == 2
    assert set(files.value) == {old.id, new.id}
    files.set_value([old.id]).run(timeout=60)
    _read(page)
    assert [paths for _, paths in _made(served)] == [[str(old.path)]]


def test_uploads_of_one_name_are_told_apart_by_their_time_or_by_a_number() -> None:
    def upload(name: str, second: int) -> Upload:
        moment = datetime(2026, 11, 23, 14, 5, second, tzinfo=UTC)
        return Upload(f"{name}-{second}", "p", name, 842, 842, moment, moment.timestamp(), Path(name), True)

    newest_first = [upload("pool.fa", 9), upload("mine.fa", 9), upload("pool.fa", 8)]
    assert list(file_choice._distinct_names(newest_first).values()) == [
        "pool.fa (842 B), 23 Nov 2026, 14:05:09 UTC",
        "mine.fa (842 B)",
        "pool.fa (842 B), 23 Nov 2026, 14:05:08 UTC",
    ]
    together = [
        upload("pool.fa", 9),
        replace(newest_first[0], id="other"),
    ]
    assert file_choice._distinct_names(together) == {
        "pool.fa-9": "pool.fa (842 B), 23 Nov 2026, 14:05:09 UTC, number 2",
        "other": "pool.fa (842 B), 23 Nov 2026, 14:05:09 UTC",
    }


def test_the_upload_of_somebody_else_changes_neither_files_nor_name(
    served: Workspace, project: Project
) -> None:
    mine, spare = _put(project, "mine.fasta"), _put(project, "spare.fasta")
    page = _opened()
    page.multiselect[0].set_value([mine.id]).run(timeout=60)
    page.text_input(key="dataset-name").set_value("my careful name").run(timeout=60)
    _put(project, "theirs.fasta")
    served.create_dataset(project, "theirs", [spare.path])
    _read(page)
    assert _made(served)[1:] == [("my careful name", [str(mine.path)])]


def test_a_file_that_this_person_sent_is_chosen_at_once_and_once(project: Project, sent: list[str]) -> None:
    first = _put(project, "first.fasta")
    page = _opened()
    second = _put(project, "second.fasta")
    sent[:] = [second.id]
    page.run(timeout=60)
    assert page.multiselect[0].value == [first.id, second.id]
    page.multiselect[0].set_value([first.id]).run(timeout=60)
    third = _put(project, "third.fasta")
    sent[:] = [second.id, third.id]
    page.run(timeout=60)
    assert page.multiselect[0].value == [first.id, third.id]
    # Removed and sent again, it is chosen again.
    uploads().remove(third.id)
    page.run(timeout=60)
    _put(project, "third.fasta")
    page.run(timeout=60)
    assert page.multiselect[0].value == [first.id, third.id]


def test_a_click_on_a_page_that_showed_other_files_makes_nothing(
    served: Workspace, project: Project, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, removed = _put(project, "left.fasta"), _put(project, "removed.fasta")
    page = _opened()
    uploads().remove(removed.id)
    _read(page)
    assert _made(served) == []
    assert "no longer offered" in _said(page) and "others than the page showed" in _said(page)
    monkeypatch.setattr(gone_choice, "_LATE_S", 0.0)
    late = _put(project, "late.fasta")
    sent[:] = [late.id]
    _read(page)
    assert _made(served) == []
    assert page.multiselect[0].value == [left.id, late.id]
    # What the page shows now is read.
    _read(page)
    assert [paths for _, paths in _made(served)] == [[str(left.path), str(late.path)]]


def test_a_file_that_this_person_removes_leaves_the_choice_without_a_word(project: Project) -> None:
    left, removed = _put(project, "left.fasta"), _put(project, "removed.fasta")
    page = _opened()
    _press(page, f"remove-{removed.id}")
    _press(page, f"remove-for-good-{removed.id}")
    assert page.multiselect[0].value == [left.id]
    assert "no longer offered" not in _said(page)


def test_an_uploaded_file_is_removed_in_a_second_step_that_says_what_is_lost(project: Project) -> None:
    upload = _put(project, "pool.fasta")
    page = _opened()
    _press(page, f"remove-{upload.id}")
    assert "pool.fasta (12 B) will be lost. This cannot be undone." in _said(page)
    _press(page, f"keep-{upload.id}")
    assert f"remove-for-good-{upload.id}" not in [button.key for button in page.button]
    assert uploads().get(upload.id).complete
    _press(page, f"remove-{upload.id}")
    _press(page, f"remove-for-good-{upload.id}")
    assert uploads().of_project(project.id) == []
    # Sent again, it is asked about again.
    _put(project, "pool.fasta")
    page.run(timeout=60)
    assert f"remove-for-good-{upload.id}" not in [button.key for button in page.button]


def test_a_file_that_a_dataset_is_still_to_read_is_not_removed(served: Workspace, project: Project) -> None:
    upload = _put(project, "pool.fasta")
    page = _opened()
    _press(page, f"remove-{upload.id}")
    # Somebody else makes a dataset of it while it is asked.
    dataset = served.create_dataset(project, "of theirs", [upload.path])
    _press(page, f"remove-for-good-{upload.id}")
    assert uploads().get(upload.id).complete
    assert "is still to be read from it" in _said(page) and "of theirs" in _said(page)
    assert f"remove-for-good-{upload.id}" not in [button.key for button in page.button]
    fresh = _opened()
    assert fresh.button(key=f"remove-{upload.id}").disabled
    assert '"of theirs" is still to be read' in fresh.button(key=f"remove-{upload.id}").help
    # Read, its sequences are kept apart from the file.
    finish_dataset(served, dataset, ["ACGUACGU"])
    fresh.run(timeout=60)
    _press(fresh, f"remove-{upload.id}")
    assert "The dataset read from it will be kept." in _said(fresh)
    _press(fresh, f"remove-for-good-{upload.id}")
    assert uploads().of_project(project.id) == []


def test_two_clicks_on_read_the_files_make_one_dataset(served: Workspace, project: Project) -> None:
    _put(project, "mine.fasta")
    page = _opened()
    _read(page)
    _read(page)
    assert [name for name, _ in _made(served)] == ["mine"]


def test_a_dataset_whose_deletion_was_killed_stops_no_upload(served: Workspace, project: Project) -> None:
    first = _put(project, "first.fasta")
    page = _opened()
    _read(page)
    (dataset,) = served.datasets(project)
    shutil.rmtree(served.directory(dataset))
    second = _put(project, "second.fasta", "GGGGACGU")
    files = _opened().multiselect[0]
    assert len(files.options) == 2
    assert set(files.value) == {first.id, second.id}  # what the first was read for is not known any more
