"""Enlarging an experiment never takes away what somebody else added."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import finish_dataset, random_sequences
from written_experiment import write_experiment

from bioprune_core.workspace import Experiment, ExperimentPlan, Workspace


def _page() -> None:
    from app.experiment_views import enlarge_popover
    from app.services import workspace

    (experiment,) = workspace().experiments()
    enlarge_popover(experiment)


@pytest.fixture
def experiment(served: Workspace, tmp_path: Path) -> Experiment:
    """Of the sizes 10 and 20 and the seeds 0, 1 and 2."""
    (tmp_path / "pool.fasta").write_text(">a\nACGU\n")
    project = served.create_project("rna")
    dataset = served.create_dataset(project, "pool", [tmp_path / "pool.fasta"])
    finish_dataset(served, dataset, random_sequences(400))
    return write_experiment(served, project, failed=False)


def _asked(workspace: Workspace, experiment: Experiment) -> tuple[list[int], list[int]]:
    settings = workspace.config(experiment)["settings"]
    return settings["sizes"], settings["seeds"]


def _drawn(page: AppTest) -> list[str]:
    assert not page.exception
    return [field.value for field in page.text_input]


def test_a_click_beside_old_numbers_changes_nothing_and_shows_the_ones_of_now(
    served: Workspace, experiment: Experiment
) -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    assert _drawn(page) == ["10 20", "0 1 2"]
    page.text_input[0].set_value("10 20 40").run(timeout=60)
    asked = ExperimentPlan.from_json(served.config(experiment))
    more = {**asked.settings, "seeds": [0, 1, 2, 3, 4, 5]}
    served.revise_experiment(experiment, more, Path(asked.base_folder))
    page.button[0].click().run(timeout=60)
    assert _asked(served, experiment) == ([10, 20], [0, 1, 2, 3, 4, 5])
    assert _drawn(page) == ["10 20", "0 1 2 3 4 5"]
    assert any("changed these numbers meanwhile" in element.proto.body for element in page.get("html"))
    page.text_input[0].set_value("10 20 40").run(timeout=60)
    page.button[0].click().run(timeout=60)
    assert _asked(served, experiment) == ([10, 20, 40], [0, 1, 2, 3, 4, 5])
    # One's own numbers are no news.
    assert _drawn(page) == ["10 20 40", "0 1 2 3 4 5"]
    assert not any("changed these numbers meanwhile" in element.proto.body for element in page.get("html"))
