"""The front page: what was done last leads to where it is."""

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest
from workspace_samples import sample_project
from written_experiment import write_experiment

from app.whole import NOT_WHOLE
from bioprune_core.laboratory import CellStore
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import set_aside
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.state import MANIFEST_FILE

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"


def test_recent_work_leads_to_its_own_page_and_a_model_from_elsewhere_to_scoring(
    served: Workspace, tmp_path: Path
) -> None:
    project, dataset, _, run = sample_project(served, tmp_path / "pool.fasta")
    trained = served.create_model(project, "trained", served.plan_model(dataset, "rna-fm", "tiny"))
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert not page.exception
    links = {each.proto.label: (each.proto.page, each.proto.query_string) for each in page.get("page_link")}
    here = f"project={project.id}"
    assert links[trained.name] == ("pretrain", f"{here}&model={trained.id}")
    assert links["tiny"] == ("score", here)
    assert links[run.name] == ("explore", f"{here}&run={run.id}")
    assert links["pool"] == ("data", f"{here}&dataset={dataset.id}")


def test_recent_work_that_is_not_whole_says_so_in_place_of_its_state(
    served: Workspace, tmp_path: Path
) -> None:
    *_, dataset, _, run = sample_project(served, tmp_path / "pool.fasta")
    coreset = served.create_coreset(run, "small", SelectionConfig())
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    states = _states(page)
    assert states == 4  # With the model from elsewhere, of which nothing is kept here.
    set_aside(served.directory(dataset))
    for record in (run, coreset):
        (served.directory(record) / MANIFEST_FILE).write_text("{")
    page.run()
    assert not page.exception
    assert [text.value for text in page.text].count(NOT_WHOLE) == 3
    assert _states(page) == 1


def test_experiments_are_counted_and_listed_like_everything_else(served: Workspace, tmp_path: Path) -> None:
    project, dataset, *_ = sample_project(served, tmp_path / "pool.fasta")
    settings = {"dataset": dataset.name, "sizes": [50], "seeds": [0]}
    for name in ("first", "second", "third"):
        experiment = served.create_experiment(project, {"name": name, **settings}, Path("/"))
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert not page.exception
    said = " ".join(element.proto.body for element in page.get("html"))
    assert "<dt>Experiments</dt><dd>3</dd>" in said
    row = [each.proto.body for each in page.get("html") if 'class="bp-figure bp-right"' in each.proto.body]
    assert [re.sub("<.*?>", "", figure) for figure in row] == ["1", "1", "1", "0", "3"]
    links = {each.proto.label: (each.proto.page, each.proto.query_string) for each in page.get("page_link")}
    assert links["third"] == ("evaluate", f"project={project.id}&experiment={experiment.id}")
    assert said.count("not started") == 3


def test_a_damaged_result_of_an_experiment_is_told_in_its_row_and_hides_nothing_else(
    served: Workspace, tmp_path: Path
) -> None:
    project, *_ = sample_project(served, tmp_path / "pool.fasta")
    experiment = write_experiment(served, project)
    next(CellStore.of(served).root.rglob("result.json")).write_text("{")
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert not page.exception
    assert not page.error
    assert {experiment.name, "pool"} < {each.proto.label for each in page.get("page_link")}
    listed = AppTest.from_file(str(MAIN.parents[1] / "pages" / "evaluate.py"), default_timeout=120)
    listed.query_params["project"] = project.id
    listed.run()
    assert not listed.error
    assert "a result is damaged" in [text.value for text in listed.text]


def _states(page: AppTest) -> int:
    return " ".join(element.proto.body for element in page.get("html")).count('class="bp-state ')
