"""What a killed deletion or a damaged file leaves takes no page with it, and is deleted on its own."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from synthetic_workspace import add_synthetic_run
from written_experiment import planned_trial

from app import navigation, run_picker
from app.whole import NOT_WHOLE
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import set_aside, write_json
from bioprune_core.workspace import CONFIG_FILE, Coreset, Dataset, Experiment, Model, Project, Run, Workspace
from bioprune_core.workspace.experiments import PLAN_FILE
from bioprune_core.workspace.state import MANIFEST_FILE

PAGES = Path(__file__).resolve().parents[2] / "pages"
PAGE_OF = {
    "dataset": "data",
    "run": "score",
    "model": "pretrain",
    "coreset": "coresets",
    "experiment": "evaluate",
}
FILES = {"manifest": MANIFEST_FILE, "config": CONFIG_FILE, "plan": PLAN_FILE}
GONE_OR_DAMAGED = pytest.mark.parametrize("damage", ["gone", "manifest"])
EVERY_DAMAGE = pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(
            (kind, damage)
            for kind in ("dataset", "run", "model")
            for damage in ("gone", "manifest", "config")
        ),
        *(("coreset", damage) for damage in ("gone", "manifest")),
        *(("experiment", damage) for damage in ("gone", "config", "plan")),
    ],
)

Thing = Dataset | Run | Model | Coreset | Experiment


@dataclass(frozen=True)
class _Shelf:
    """A project with a finished thing of each kind to be damaged, beside a pool, a run and a coreset."""

    project: Project
    pool: Dataset
    scored: Run
    kept: Coreset
    dataset: Dataset
    run: Run
    model: Model
    coreset: Coreset
    experiment: Experiment

    def thing(self, kind: str) -> Thing:
        """The one that is to be damaged."""
        found: Thing = getattr(self, kind)
        return found


@pytest.fixture
def shelf(served: Workspace) -> _Shelf:
    project = served.create_project("Sample")
    scored = add_synthetic_run(served, project, 300)
    pool = served.dataset(scored.dataset_id)
    kept, coreset = (
        served.create_coreset(scored, name, SelectionConfig(strata=strata))
        for name, strata in (("kept", 20), ("half gone", 30))
    )
    dataset = served.create_dataset(project, "half read", [served.root / "synthetic.fasta"])
    config = served.plan_run(pool, served.model(scored.model_id), 100)
    run = served.create_run(config, "half scored")
    for whole, made in ((pool, dataset), (scored, run)):
        ignore = shutil.ignore_patterns(CONFIG_FILE)
        shutil.copytree(served.directory(whole), served.directory(made), ignore=ignore, dirs_exist_ok=True)
    model = served.create_model(project, "half trained", served.plan_model(pool, "rna-fm", "tiny"))
    write_json(
        served.directory(model) / MANIFEST_FILE,
        {
            "alphabet": "rna",
            "parameters": 1_000,
            "content_hash": "a5" * 32,
            "training": {"steps": 10, "validation": [{"loss": 1.25}]},
        },
    )
    trial = planned_trial(project=project.name)
    settings = trial.config.to_json() | {"dataset": pool.name}
    experiment = served.create_experiment(project, settings, Path("/"))
    write_json(served.directory(experiment) / MANIFEST_FILE, {"networks": 3, "evaluations": 4})
    return _Shelf(project, pool, scored, kept, dataset, run, model, coreset, experiment)


@pytest.fixture(autouse=True)
def on_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page run by itself knows no others to lead to."""
    for module in (navigation, run_picker):
        monkeypatch.setattr(module, "link", lambda *_, **__: None)
        monkeypatch.setattr(module, "go", lambda *_, **__: None)


def _damage(workspace: Workspace, record: Thing, damage: str) -> None:
    folder = workspace.directory(record)
    if damage == "gone":
        set_aside(folder)
    else:
        (folder / FILES[damage]).write_text("{")


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


def _texts(page: AppTest) -> list[str]:
    return [text.value for text in page.text]


def _states(page: AppTest) -> int:
    return _said(page).count('class="bp-state ')


@EVERY_DAMAGE
def test_a_list_says_so_in_its_row_without_a_state_and_tells_of_the_others_in_full(
    served: Workspace, shelf: _Shelf, kind: str, damage: str
) -> None:
    before = _open(PAGE_OF[kind], shelf)
    assert NOT_WHOLE not in _texts(before)
    _damage(served, shelf.thing(kind), damage)
    page = _open(PAGE_OF[kind], shelf)
    assert _texts(page).count(NOT_WHOLE) == 1
    # Coresets are listed without a state: each of them is done.
    assert _states(page) == max(0, _states(before) - 1)
    assert kind != "coreset" or "Coverage-centric" in _said(page)


@EVERY_DAMAGE
def test_its_own_page_says_so_and_deletes_it(
    served: Workspace, shelf: _Shelf, kind: str, damage: str
) -> None:
    record = shelf.thing(kind)
    _damage(served, record, damage)
    page = _open(PAGE_OF[kind], shelf, **{kind: record.id})
    assert f"This {kind} is not whole" in _said(page)
    assert "Not started" not in _said(page)
    page.button(key=f"delete-{record.id}").click().run()
    assert not page.exception
    # What a manifest says is lost is told as long as it can be read.
    readable = kind == "experiment" or damage == "config"
    assert ("What is left of it will be lost." in _said(page)) is not readable
    page.button(key=f"delete-for-good-{record.id}").click().run()
    assert not page.exception
    left = [*served.datasets(), *served.runs(), *served.models(), *served.coresets(), *served.experiments()]
    assert record.id not in [each.id for each in left]
    assert len(left) == 8


def test_a_row_reads_the_configuration_of_its_model_once(
    shelf: _Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = Workspace.config

    def config(workspace: Workspace, record: Dataset | Model | Run | Experiment) -> Mapping[str, Any]:
        read.append(record.id)
        return original(workspace, record)

    monkeypatch.setattr(Workspace, "config", config)
    assert "pool of 300" in _texts(_open("pretrain", shelf))
    assert read.count(shelf.model.id) == 1


def test_an_experiment_without_its_manifest_has_its_cells_counted(served: Workspace, shelf: _Shelf) -> None:
    assert "7 of 7" in _texts(_open("evaluate", shelf))
    trial = planned_trial(project=shelf.project.name)
    write_json(
        served.directory(shelf.experiment) / CONFIG_FILE,
        dict(served.config(shelf.experiment)) | {"settings": trial.config.to_json()},
    )
    trial.write(served.directory(shelf.experiment))
    _damage(served, shelf.experiment, "manifest")
    page = _open("evaluate", shelf)
    cells = len(trial.plan.pretrainings) + len(trial.plan.evaluations)
    assert f"0 of {cells}" in _texts(page)
    assert _states(page) == 1
    page = _open("evaluate", shelf, experiment=shelf.experiment.id)
    assert "is not whole" not in _said(page)
    assert "Measurements" in _said(page)


@GONE_OR_DAMAGED
def test_a_form_leaves_a_coreset_out_and_says_so(served: Workspace, shelf: _Shelf, damage: str) -> None:
    _damage(served, shelf.coreset, damage)
    said = "Left out, because it is not whole: half gone."
    page = _open("pretrain", shelf)
    assert len(page.selectbox(key=f"of-coreset-{shelf.project.id}").options) == 1
    assert said in _said(page)
    page = _open("select", shelf, run=shelf.scored.id)
    assert page.selectbox(key="compare").options == ["kept"]
    assert said in _said(page)
    page = _open("evaluate", shelf)
    page.selectbox(key=f"pool-{shelf.project.id}").select(shelf.pool.id).run()
    page.selectbox(key=f"scores-{shelf.pool.id}").select(shelf.scored.id).run()
    (arms,) = [each for each in page.multiselect if each.label == "Compare with random selections"]
    assert "Coreset kept" in arms.options
    assert "Coreset half gone" not in arms.options
    assert said in _said(page)
    arms.select("Coreset kept").run()
    assert not page.exception


def test_a_form_with_nothing_whole_to_offer_says_so(served: Workspace, shelf: _Shelf) -> None:
    for coreset in (shelf.kept, shelf.coreset):
        set_aside(served.directory(coreset))
    page = _open("pretrain", shelf)
    assert "Left out, because they are not whole: half gone, kept." in _said(page)
    assert "train" not in [button.key for button in page.button]


@pytest.mark.parametrize("damage", ["gone", "manifest", "config"])
def test_a_form_leaves_datasets_runs_and_models_out_and_says_so(
    served: Workspace, shelf: _Shelf, damage: str
) -> None:
    for record in (shelf.dataset, shelf.run, shelf.model):
        _damage(served, record, damage)
    page = _open("pretrain", shelf, on="A dataset")
    assert page.selectbox(key=f"of-dataset-{shelf.project.id}").options == ["pool of 300, 300 sequences"]
    assert "Left out, because it is not whole: half read." in _said(page)
    page = _open("evaluate", shelf)
    assert page.selectbox(key=f"pool-{shelf.project.id}").options == ["pool of 300"]
    scores = page.selectbox(key=f"scores-{shelf.pool.id}")
    assert scores.options[:-1] == [shelf.scored.name]
    assert "Left out, because they are not whole: half read, half scored." in _said(page)
    page = _open("score", shelf)
    assert page.selectbox(key=f"model-{shelf.project.id}-rna").options == ["invented model"]
    assert "half trained is not trained yet" not in _said(page)
    for name in ("half read", "half trained"):
        assert f"Left out, because it is not whole: {name}." in _said(page)
    assert "half trained" not in _said(_open("score", shelf, **{"from": "New, from scratch"}))


@pytest.mark.parametrize("damage", ["gone", "manifest", "config"])
def test_a_selection_is_of_the_newest_run_that_is_whole(
    served: Workspace, shelf: _Shelf, damage: str
) -> None:
    _damage(served, shelf.run, damage)
    page = _open("select", shelf)
    assert page.query_params["run"] == shelf.scored.id
    page = _open("select", shelf, run=shelf.run.id)
    assert "This run is not whole" in _said(page)
    assert "Delete it again on its own page." in _said(page)


@pytest.mark.parametrize("damage", ["manifest", "config"])
def test_what_was_made_of_a_damaged_dataset_can_still_be_reached(
    served: Workspace, shelf: _Shelf, damage: str
) -> None:
    _damage(served, shelf.pool, damage)
    page = _open("pretrain", shelf)
    assert "Left out, because it is not whole: pool of 300." in _said(page)
    assert "train" not in [button.key for button in page.button]
    _damage(served, shelf.dataset, damage)
    for name, told in (
        ("score", "pool of 300"),
        ("pretrain", "pool of 300"),
        ("evaluate", "B = 10, 20 of pool of 300, 3 seeds"),
    ):
        page = _open(name, shelf)
        assert "No dataset is ready yet" in _said(page)
        assert "still being read" not in _said(page)
        assert told in _texts(page)
