"""What a killed deletion leaves, a row without its files, takes no page with it and is deleted there."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from synthetic_workspace import add_synthetic_run
from written_experiment import planned_trial

from app import navigation
from app.whole import NOT_WHOLE
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import set_aside
from bioprune_core.workspace import Coreset, Experiment, Model, Project, Run, Workspace

PAGES = Path(__file__).resolve().parents[2] / "pages"


@dataclass(frozen=True)
class _Shelf:
    """A project with a whole coreset, and one of each kind whose deletion was killed half-way."""

    project: Project
    run: Run
    whole: Coreset
    coreset: Coreset
    model: Model
    experiment: Experiment


@pytest.fixture
def shelf(served: Workspace) -> _Shelf:
    project = served.create_project("Sample")
    run = add_synthetic_run(served, project, 300)
    whole, coreset = (
        served.create_coreset(run, name, SelectionConfig(strata=strata))
        for name, strata in (("kept", 20), ("half gone", 30))
    )
    dataset = served.dataset(run.dataset_id)
    model = served.create_model(project, "half trained", served.plan_model(dataset, "rna-fm", "tiny"))
    settings = planned_trial(project=project.name).config.to_json() | {"dataset": dataset.name}
    experiment = served.create_experiment(project, settings, Path("/"))
    for record in (coreset, model, experiment):
        set_aside(served.directory(record))
    return _Shelf(project, run, whole, coreset, model, experiment)


@pytest.fixture(autouse=True)
def on_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page run by itself knows no others to lead to."""
    monkeypatch.setattr(navigation, "link", lambda *_, **__: None)
    monkeypatch.setattr(navigation, "go", lambda *_, **__: None)


def _open(name: str, shelf: _Shelf, **place: str) -> AppTest:
    page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=120)
    for key, value in {"project": shelf.project.id, **place}.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    assert not page.error
    return page


def _said(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


def _delete(page: AppTest, record: Coreset | Model | Experiment) -> None:
    for step in ("delete", "delete-for-good"):
        page.button(key=f"{step}-{record.id}").click().run()
        assert not page.exception


def test_a_list_tells_of_it_in_its_row_and_of_the_others_in_full(shelf: _Shelf) -> None:
    page = _open("coresets", shelf)
    assert [text.value for text in page.text] == [NOT_WHOLE]
    assert "Coverage-centric" in _said(page)
    for name in ("pretrain", "evaluate"):
        assert NOT_WHOLE in [text.value for text in _open(name, shelf).text]


def test_its_own_page_says_so_and_deletes_it(served: Workspace, shelf: _Shelf) -> None:
    places = (("coresets", shelf.coreset), ("pretrain", shelf.model), ("evaluate", shelf.experiment))
    for name, record in places:
        kind = type(record).__name__.lower()
        page = _open(name, shelf, **{kind: record.id})
        assert f"This {kind} is not whole" in _said(page)
        _delete(page, record)
    assert served.coresets() == [shelf.whole]
    assert (served.experiments(), [each for each in served.models() if each.reference is None]) == ([], [])


def test_a_form_leaves_it_out_and_says_so(shelf: _Shelf) -> None:
    page = _open("pretrain", shelf)
    assert len(page.selectbox(key=f"of-coreset-{shelf.project.id}").options) == 1
    assert "Left out, because it is not whole: half gone." in _said(page)


def test_a_form_with_nothing_whole_to_offer_says_so(served: Workspace, shelf: _Shelf) -> None:
    set_aside(served.directory(shelf.whole))
    page = _open("pretrain", shelf)
    assert "Left out, because they are not whole: half gone, kept." in _said(page)
    assert "train" not in [button.key for button in page.button]


def test_a_selection_is_compared_with_whole_coresets_alone(shelf: _Shelf) -> None:
    page = _open("select", shelf, run=shelf.run.id)
    assert page.selectbox(key="compare").options == ["kept"]
    assert "Left out, because it is not whole: half gone." in _said(page)


def test_an_experiment_is_offered_whole_coresets_alone(shelf: _Shelf) -> None:
    page = _open("evaluate", shelf)
    (arms,) = [each for each in page.multiselect if each.label == "Compare with random selections"]
    assert "Coreset kept" in arms.options
    assert "Coreset half gone" not in arms.options
    assert "Left out, because it is not whole: half gone." in _said(page)
