"""What the Select page offers for a selection, and says of it."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from synthetic_workspace import add_synthetic_run

from app import navigation, run_data
from app.queries import run_table
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


def test_two_clicks_save_one_coreset_under_the_name_that_was_typed(
    served: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = add_synthetic_run(served, served.create_project("named"), 300)
    # The second click comes before the browser shows the page that the first one leads to.
    monkeypatch.setattr(navigation, "go", lambda *_, **__: None)
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.query_params["project"], page.query_params["run"] = run.project_id, run.id
    page.run()
    page.text_input(key="coreset-name").set_value("my own").run()
    # The suggestion follows the knobs; what was typed stays.
    page.number_input(key="alpha").set_value(70.0).run()
    for _ in range(2):
        page.button(key="save-coreset").click().run()
        assert not page.exception
        assert [each.name for each in served.coresets()] == ["my own"]


@pytest.mark.parametrize("sample", [run_table.SAMPLE_ROWS, 200], ids=["small", "large"])
def test_labels_covered_are_those_of_the_whole_pool(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, sample: int
) -> None:
    """Also where pictures are drawn from a sample, which has none of some labels."""
    monkeypatch.setattr(run_data, "SAMPLE_ROWS", sample)
    project = served.create_project("selected")
    run = add_synthetic_run(served, project, 600)
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.query_params["project"], page.query_params["run"] = project.id, run.id
    page.run()
    assert not page.exception
    [covered] = [
        element.proto.body for element in page.get("html") if "Effective number" in element.proto.body
    ]
    cells = [part.partition("</td>")[0] for part in covered.split("<td")[1:]]
    figures = [cell.partition(">")[2] for cell in cells]
    assert figures[0] == "Labels in this selection"
    met, pool, lost = (int(figure) for figure in figures[1:4])
    assert pool == 41
    assert met + lost == pool
    assert 0 < met <= 60
    sampled = any("as large a share of every stratum" in each.proto.body for each in page.get("html"))
    assert sampled is (sample == 200)
