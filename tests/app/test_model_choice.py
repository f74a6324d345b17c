"""Models from elsewhere: only from where files may be taken, and under a name that is free."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import sample_project

from app.import_folders import listen_on
from app.model_choice import ModelChoice
from bioprune_core.storage import write_json
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.state import MANIFEST_FILE


def _page() -> None:
    import streamlit as st

    from app.model_choice import _reference
    from app.services import workspace

    st.session_state["chosen"] = _reference(workspace().models())


def _choose(text: str) -> tuple[ModelChoice | None, str]:
    """What is chosen by a text, and everything the page says."""
    page = AppTest.from_function(_page).run(timeout=60)
    page.text_input(key="reference").set_value(text).run(timeout=60)
    assert not page.exception
    return page.session_state["chosen"], " ".join(element.proto.body for element in page.get("html"))


@pytest.fixture
def imports(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of the server that may be imported from, with a model; beside it a private one."""
    for folder in ("imports/model", "private/model"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("BIOPRUNE_IMPORT_FOLDERS", str(tmp_path / "imports"))
    request.getfixturevalue("served")  # Reads the settings, so it comes after.
    return tmp_path / "imports"


@pytest.mark.parametrize("text", ["../private/model", "../private/absent", "/", "~"])
def test_a_model_outside_of_the_import_folders_is_refused_whether_it_exists_or_not(
    imports: Path, text: str
) -> None:
    chosen, said = _choose(f"{imports}/{text}" if text.startswith("..") else text)
    assert chosen is None
    assert "outside of the folders that may be imported from" in said


def test_a_model_of_an_import_folder_is_noted_by_its_checked_path(imports: Path) -> None:
    (imports / "link").symlink_to(imports / "model")
    chosen, _ = _choose(f" {imports}/link/ ")
    assert chosen == ModelChoice("model", None, str(imports / "model"))


@pytest.mark.usefixtures("imports")
@pytest.mark.parametrize("text", ["multimolecule/rnafm", "esm2-8m"])
def test_hub_ids_and_known_names_need_no_folder(text: str) -> None:
    chosen, _ = _choose(text)
    assert chosen is not None and chosen.reference == text


@pytest.mark.usefixtures("imports")
@pytest.mark.parametrize("text", ["esm-2-8m", "models/..", "app/charts", "./app/charts/training.py"])
def test_a_relative_path_is_no_model(text: str) -> None:
    chosen, said = _choose(text)
    assert chosen is None
    assert f"{text} is no model that is known here" in said


@pytest.mark.usefixtures("served")
def test_on_a_laptop_any_path_is_a_model(tmp_path: Path) -> None:
    listen_on("127.0.0.1")
    chosen, _ = _choose(str(tmp_path))
    assert chosen is not None and chosen.reference == str(tmp_path)


def test_folders_of_one_name_become_models_of_two_names(served: Workspace) -> None:
    project = served.create_project("Sample")
    names = [
        ModelChoice("checkpoint", None, f"/models/{version}/checkpoint").entry(project).name
        for version in ("v1", "v2")
    ]
    assert names == ["checkpoint", "checkpoint 2"]


def _models_alone() -> None:
    import streamlit as st

    from app.model_choice import _of_project
    from app.services import workspace
    from bioprune_core.alphabet import Alphabet

    (project,) = workspace().projects()
    st.session_state["chosen"] = _of_project(project, workspace().models(), Alphabet.RNA)


def test_a_model_that_replaces_a_deleted_one_is_marked(served: Workspace) -> None:
    project = served.create_project("Sample")
    chosen, _ = (served.add_model(project, name, f"/models/{name}") for name in ("old", "new"))
    page = AppTest.from_function(_models_alone).run(timeout=60)
    page.selectbox(key=f"model-{project.id}-rna").select(chosen.id).run(timeout=60)
    assert page.session_state["chosen"] == ModelChoice("old", chosen, "/models/old")
    served.delete(chosen)
    page.run(timeout=60)
    assert not page.exception
    assert (page.session_state["chosen"].name, page.session_state["chosen"].replaces) == ("new", True)


def _choice() -> None:
    import streamlit as st

    from app.model_choice import choose_model
    from app.services import workspace

    (project,) = workspace().projects()
    st.session_state["chosen"] = choose_model(project, workspace().datasets(project)[0])


def _said(page: AppTest) -> str:
    assert not page.exception
    return " ".join(element.proto.body for element in page.get("html"))


def test_a_model_trained_from_scratch_is_announced_at_its_end_and_chosen_at_a_click(
    served: Workspace, tmp_path: Path
) -> None:
    project, dataset, *_ = sample_project(served, tmp_path / "pool.fasta")
    earlier, trained = (
        served.create_model(project, name, served.plan_model(dataset, "rna-fm", "tiny", seed=seed))
        for seed, name in enumerate(("earlier", "just trained"))
    )
    write_json(served.directory(earlier) / MANIFEST_FILE, {"alphabet": "rna"})
    page = AppTest.from_function(_choice)
    page.session_state["from"] = "New, from scratch"
    assert "just trained: once it is trained" in _said(page.run(timeout=60))
    write_json(served.directory(trained) / MANIFEST_FILE, {"alphabet": "rna"})
    said = _said(page.run(timeout=60))
    assert "just trained is trained. It is now under" in said
    assert "earlier" not in said
    assert page.session_state["chosen"] is None
    served.add_model(project, "newer", "/models/newer")
    page.button(key=f"choose-{trained.id}").click().run(timeout=60)
    assert not page.exception
    assert page.session_state["from"] == "In this project"
    assert page.session_state["chosen"] == ModelChoice("just trained", trained, None)
    assert "is trained" not in _said(page)
