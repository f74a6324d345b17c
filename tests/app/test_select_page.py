"""What the Select page offers for a selection."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from synthetic_workspace import add_synthetic_run

from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import Workspace

PAGE = Path(__file__).resolve().parents[2] / "pages" / "select.py"


def test_a_name_that_a_coreset_has_is_not_suggested(served: Workspace) -> None:
    run = add_synthetic_run(served, served.create_project("named"), 300)
    taken = "coverage-centric 90, cut 5, 50 equal-width strata, seed 0"
    served.create_coreset(run, taken, SelectionConfig())
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.query_params["project"], page.query_params["run"] = run.project_id, run.id
    page.run()
    assert not page.exception
    [name] = [field for field in page.text_input if field.label == "Name of the coreset"]
    assert name.value == taken.capitalize() + " 2"
