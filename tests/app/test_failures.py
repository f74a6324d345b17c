"""What the log gets of an error: of a person's own mistakes a line, of everything else a traceback."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bioprune_core.workspace import Workspace

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"


def test_an_address_of_nothing_is_one_line_in_the_log_and_a_sentence_on_the_page(
    served: Workspace, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    served.create_project("Sample")
    page = AppTest.from_file(str(MAIN), default_timeout=120).run().switch_page("../pages/data.py")
    page.query_params["project"] = "project-20200101-000000-aaaaaa\nERROR forged"
    page.run()
    assert not page.exception
    (error,) = page.error
    assert "There is no project" in error.value
    (record,) = [record for record in caplog.records if record.name == "bioprune.app"]
    assert not any(each.exc_info for each in caplog.records)
    assert record.getMessage().startswith('There is no project "project-20200101-000000-aaaaaa ERROR')
    assert "Traceback" not in "".join(capfd.readouterr())


def _storage_at_fault() -> None:
    from app.failures import show_failure
    from bioprune_core.errors import StorageError

    show_failure(StorageError("The disk cannot be read.", detail="EIO"))


@pytest.mark.usefixtures("served")
def test_what_is_no_mistake_of_a_person_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    AppTest.from_function(_storage_at_fault).run(timeout=60)
    (record,) = [record for record in caplog.records if record.name == "bioprune.app"]
    assert record.exc_info is not None
    assert record.getMessage() == "The disk cannot be read. (EIO)"
