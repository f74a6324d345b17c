"""The form of an experiment begins with what trains a network of the chosen scale well."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import sample_project

from bioprune_core.alphabet import Alphabet
from bioprune_core.evaluation import Method, Pooling
from bioprune_core.experiments.settings import PretrainingSettings
from bioprune_core.selection import SelectionConfig
from bioprune_core.tasks import read_own_task
from bioprune_core.training import pretraining
from bioprune_core.workspace import Workspace


def _networks_alone() -> None:
    import json

    import streamlit as st

    from app.experiment_form import _networks
    from bioprune_core.alphabet import Alphabet

    st.text(json.dumps(_networks(Alphabet.RNA)))


def test_the_probe_looks_at_all_layers_unless_another_feature_is_chosen() -> None:
    page = AppTest.from_function(_networks_alone, default_timeout=120).run()
    assert json.loads(page.text[0].value)["protocol_settings"] == {"probe": {"pooling": "layers"}}
    page.selectbox(key="pooling").select(Pooling.MEAN).run()
    assert json.loads(page.text[0].value)["protocol_settings"] == {"probe": {"pooling": "mean"}}
    page.multiselect(key="protocols").set_value([Method.FINE_TUNE]).run()
    assert json.loads(page.text[0].value)["protocol_settings"] == {}


@pytest.mark.parametrize("scale", ["tiny", "base"])
def test_networks_are_trained_with_the_recommended_settings_of_their_scale(scale: str) -> None:
    page = AppTest.from_function(_networks_alone, default_timeout=120).run()
    page.selectbox(key="network-scale").select(scale).run()
    settings = PretrainingSettings.from_json(json.loads(page.text[0].value)["pretraining"])
    found = settings.training_config(seed=3)
    expected = replace(pretraining(scale, seed=3), steps=None, tokens=int(settings.amount))
    assert replace(found, epochs=expected.epochs) == expected


def _own_table_alone(table: str) -> None:
    import json
    from pathlib import Path

    import streamlit as st

    from app.experiment_tasks import _own_table

    st.text(json.dumps(_own_table(Path(table))))


@pytest.mark.parametrize(
    ("column", "values", "guessed"),
    [("split", ("train", "valid", "test"), True), ("partition", ("0", "1", "2"), False)],
)
def test_a_split_is_guessed_where_it_names_parts_and_can_be_declined(
    tmp_path: Path, column: str, values: tuple[str, ...], guessed: bool
) -> None:
    table = tmp_path / "mine.csv"
    rows = [f"ACGU{'GC' * number},{number / 7:.3f},{values[number % 3]}" for number in range(30)]
    table.write_text("\n".join([f"sequence,label,{column}", *rows]) + "\n")
    page = AppTest.from_function(_own_table_alone, default_timeout=120, args=(str(table),)).run()
    split = page.selectbox(key=f"own-split-{table}")
    assert split.options[0] == "None: drawn at random"
    assert (split.value, json.loads(page.text[0].value)) == (
        (column, [{"columns": {"split": column}}, ""]) if guessed else ("", [{}, ""])
    )
    split.select(None if guessed else column).run()
    split.select("" if guessed else column).run()
    assert json.loads(page.text[0].value) == [{"columns": {"split": "" if guessed else column}}, ""]


def _form() -> None:
    from app.experiment_form import new_experiment
    from app.run_form import ready_datasets
    from app.services import workspace

    (project,) = workspace().projects()
    new_experiment(project, ready_datasets(project))


def _start(page: AppTest) -> str:
    """Click, and everything that the page says then."""
    page.button(key="start-experiment").click().run(timeout=120)
    assert not page.exception
    return " ".join(element.proto.body for element in page.get("html"))


def test_no_experiment_begins_without_the_coreset_or_the_run_that_the_page_shows(
    served: Workspace, tmp_path: Path
) -> None:
    project, *_, run = sample_project(served, tmp_path / "pool.fasta")
    coreset = served.create_coreset(run, "small", SelectionConfig())
    page = AppTest.from_function(_form).run(timeout=120)
    arms = f"arms-{project.id}-True"
    page.multiselect(key=arms).select("Coreset small").run(timeout=120)
    served.delete(coreset)
    assert "no longer offered" in _start(page)
    assert served.experiments() == []
    assert "Coreset small" not in page.multiselect(key=arms).value
    served.delete(run)
    assert "no longer offered" in _start(page)
    assert served.experiments() == []


def test_a_name_that_was_typed_stays_when_the_suggested_one_is_taken(
    served: Workspace, tmp_path: Path
) -> None:
    project, dataset, *_ = sample_project(served, tmp_path / "pool.fasta")
    page = AppTest.from_function(_form).run(timeout=120)
    assert page.text_input(key="experiment-name").value == "Coresets of pool"
    page.text_input(key="experiment-name").set_value("my own").run(timeout=120)
    served.create_experiment(
        project, {"name": "Coresets of pool", "dataset": dataset.name, "sizes": [50]}, Path("/")
    )
    page.run(timeout=120)
    assert page.text_input(key="experiment-name").value == "my own"
    page.text_input(key="experiment-name").set_value("").run(timeout=120)
    assert page.text_input(key="experiment-name").value == "Coresets of pool 2"


@pytest.mark.parametrize(("files", "mixture"), [(1, "length"), (2, "source")])
def test_the_controls_of_a_pool_of_one_file_match_lengths_since_its_mixture_of_files_is_its_own(
    served: Workspace, tmp_path: Path, files: int, mixture: str
) -> None:
    _, dataset, *_ = sample_project(served, tmp_path / "pool.fasta")
    path = served.directory(dataset) / "manifest.json"
    inputs = [{"name": f"{number}.fasta", "bytes": 1, "sha256": "0"} for number in range(files)]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inputs": inputs}))
    page = AppTest.from_function(_form).run(timeout=120)
    assert page.multiselect(key=f"mixtures-{dataset.id}").value == [mixture]


def test_an_experiment_can_be_tried_with_the_sample_task_and_no_folder(
    served: Workspace, tmp_path: Path
) -> None:
    sample_project(served, tmp_path / "pool.fasta")
    page = AppTest.from_function(_form).run(timeout=120)
    page.multiselect(key="tasks").select("Sample: families of invented RNAs").run(timeout=120)
    page.button(key="start-experiment").click().run(timeout=120)
    assert not page.exception
    (experiment,) = served.experiments()
    (task,) = served.config(experiment)["settings"]["tasks"]
    assert read_own_task(Path(task["folder"]), Alphabet.RNA).data.task.metrics[0] == "accuracy"
