"""A saved coreset leads back to the selection that it was made by."""

from decimal import Decimal
from pathlib import Path

from streamlit.testing.v1 import AppTest
from synthetic_workspace import add_synthetic_run

from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import Coreset, Workspace

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"


def show(page: AppTest, coreset: Coreset) -> AppTest:
    """The page of a coreset."""
    page.switch_page("../pages/coresets.py")
    page.query_params.clear()
    page.query_params["project"], page.query_params["coreset"] = coreset.project_id, coreset.id
    page.run()
    assert not page.exception
    return page


def open_selection(page: AppTest) -> AppTest:
    """Press the button that leads to the Select page; what is done next is done there."""
    page.button(key="open-selection").click().run()
    return page.switch_page("../pages/select.py")


def knobs(page: AppTest) -> tuple[float, ...]:
    """Alpha, beta and k on the Select page."""
    assert not page.exception
    return tuple(page.number_input(key=key).value for key in ("alpha", "beta", "k"))


def test_its_selection_opens_as_it_was_whatever_the_controls_were_set_to(served: Workspace) -> None:
    run = add_synthetic_run(served, served.create_project("with coresets"), 300)
    # Alpha as the page has it by itself, beta not.
    config = SelectionConfig(prune_rate=Decimal(90), hardest_cut=Decimal(10), strata=20)
    coreset = served.create_coreset(run, "90, 10", config)
    page = AppTest.from_file(str(MAIN), default_timeout=120)
    page.run()
    assert knobs(open_selection(show(page, coreset))) == (90, 10, 20)
    page.number_input(key="alpha").set_value(70.0).run()
    assert knobs(page) == (70, 10, 20)
    assert knobs(open_selection(show(page, coreset))) == (90, 10, 20)
    # All of it is in the address, but for what the page has by itself; nothing there brings it back later.
    place = {"project", "dataset", "run"}
    assert {name: page.query_params[name] for name in set(page.query_params) - place} == {
        "beta": "10",
        "k": "20",
    }


def test_a_selection_that_the_controls_cannot_be_set_to_is_said_and_not_opened(served: Workspace) -> None:
    run = add_synthetic_run(served, served.create_project("with coresets"), 300)
    coreset = served.create_coreset(run, "many strata", SelectionConfig(strata=2_000))
    page = AppTest.from_file(str(MAIN.parents[1] / "pages" / "coresets.py"), default_timeout=120)
    page.query_params["project"], page.query_params["coreset"] = coreset.project_id, coreset.id
    page.run()
    assert not page.exception
    assert page.button(key="open-selection").disabled
    assert "has 2,000 strata" in " ".join(element.proto.body for element in page.get("html"))
