"""Deleting takes two steps, the second of which says what is lost."""

import zlib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import sample_project

from app.record_editor import _lost
from app.services import uploads
from bioprune_core.claims import claimed
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Run, Workspace
from bioprune_core.workspace.locks import JOB_LOCK
from bioprune_core.workspace.state import MANIFEST_FILE


def _page(run_id: str) -> None:
    import streamlit as st

    from app.record_editor import edit_popover
    from app.services import workspace

    if run_id in [run.id for run in workspace().runs()]:
        edit_popover(workspace().run(run_id), deleted=lambda: st.text("gone"))


@pytest.fixture
def run(served: Workspace, tmp_path: Path) -> Run:
    run = sample_project(served, tmp_path / "pool.fasta")[-1]
    manifest = served.directory(run) / MANIFEST_FILE
    write_json(manifest, read_json(manifest) | {"seconds": 7_500.0})
    return run


def _press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run(timeout=60)
    assert not page.exception
    return page


def test_a_run_is_deleted_in_a_second_step_that_says_what_is_lost(served: Workspace, run: Run) -> None:
    page = AppTest.from_function(_page, kwargs={"run_id": run.id}).run(timeout=60)
    _press(page, f"delete-{run.id}")
    assert served.runs() == [run]
    said = " ".join(element.proto.body for element in page.get("html"))
    assert "500 scores" in said and "2 h 5 min" in said
    assert page.button(key=f"delete-for-good-{run.id}").label == "Delete run for good"
    _press(page, f"delete-for-good-{run.id}")
    assert served.runs() == []
    assert [text.value for text in page.text] == ["gone"]


def test_what_something_else_needs_is_refused_with_the_reason_and_not_asked_about(
    served: Workspace, run: Run
) -> None:
    coreset = served.create_coreset(run, "small", SelectionConfig())
    page = AppTest.from_function(_page, kwargs={"run_id": run.id}).run(timeout=60)
    _press(page, f"delete-{run.id}")
    said = " ".join(element.proto.body for element in page.get("html"))
    assert "needed by coreset &quot;small&quot;. Delete that first." in said
    assert f"delete-for-good-{run.id}" not in [button.key for button in page.button]
    served.delete(coreset)
    _press(_press(page, f"delete-{run.id}"), f"delete-for-good-{run.id}")
    assert served.runs() == []


def test_what_is_being_computed_is_refused_with_the_reason_and_not_asked_about(
    served: Workspace, run: Run
) -> None:
    (served.directory(run) / MANIFEST_FILE).unlink()
    page = AppTest.from_function(_page, kwargs={"run_id": run.id}).run(timeout=60)
    with claimed(served.directory(run) / JOB_LOCK):
        _press(page, f"delete-{run.id}")
    assert "Cancel its job first." in " ".join(element.proto.body for element in page.get("html"))
    assert f"delete-for-good-{run.id}" not in [button.key for button in page.button]


def test_a_name_that_is_still_being_typed_can_be_saved_by_the_next_key(served: Workspace, run: Run) -> None:
    page = AppTest.from_function(_page, kwargs={"run_id": run.id}).run(timeout=60)
    buttons = [button.key for button in page.button]
    assert buttons == [f"rename-{run.id}", f"delete-{run.id}"]
    assert not page.button(key=f"rename-{run.id}").disabled
    page.text_input(key=f"name-{run.id}").set_value("another")
    _press(page, f"rename-{run.id}")
    assert served.run(run.id).name == "another"


def test_what_is_kept_after_all_is_asked_about_anew(served: Workspace, run: Run) -> None:
    page = AppTest.from_function(_page, kwargs={"run_id": run.id}).run(timeout=60)
    _press(_press(page, f"delete-{run.id}"), f"keep-{run.id}")
    assert served.runs() == [run]
    assert f"delete-for-good-{run.id}" not in [button.key for button in page.button]


def test_what_is_not_finished_says_so(served: Workspace, tmp_path: Path) -> None:
    (tmp_path / "pool.fasta").write_text(">a\nACGU\n")
    dataset = served.create_dataset(served.create_project("Sample"), "pool", [tmp_path / "pool.fasta"])
    assert _lost(dataset) == "It is not finished; what is computed of it will be lost."


def test_a_project_says_which_uploads_are_lost_with_it(served: Workspace) -> None:
    project = served.create_project("Gone")
    assert _lost(project) == "The project is empty."
    content = b">a\nACGU\n"
    for name in ("one.fasta", "two.fasta"):
        upload = uploads().begin(project.id, name, len(content), 1)
    with uploads().chunk(upload.id, 0) as chunk:
        chunk.write(content)
        uploads().accept(upload.id, 0, chunk.commit(zlib.crc32(content)))
    assert _lost(project) == "Its 2 uploaded files (8 B) will be lost with it."
    served.add_model(project, "tiny", "tiny-model")
    assert "2 uploaded files" in _lost(project) and "entry of a model" in _lost(project)
    served.delete(project)
    assert uploads().of_project(project.id) == []
