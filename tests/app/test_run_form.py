"""What the form of a run gives: the configuration's fields, defaults left out, and what it will take."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import finish_dataset, random_sequences, sample_project

from app import gone_choice
from bioprune_core.estimate import RunCost
from bioprune_core.influence import InfluenceConfig
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.state import MANIFEST_FILE


def _page() -> None:
    import streamlit as st

    from app.influence_form import influence_fields

    left, right = st.columns(2)
    st.session_state["chosen"] = influence_fields(left, right)


def test_defaults_are_left_out() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception
    assert page.session_state["chosen"] == {}
    assert [field.label for field in page.number_input] == ["Without a score at most (%)"]


@pytest.mark.parametrize(
    ("objective", "parameters", "expected"),
    [
        ("masked", "head", {"objective": "masked", "masks": 8}),
        ("paper-code", "all-linear", {"objective": "paper-code", "parameters": "all-linear"}),
    ],
)
def test_choices_are_fields_of_the_configuration(
    objective: str, parameters: str, expected: dict[str, object]
) -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    page.selectbox(key="objective").select(objective)
    page.selectbox(key="parameters").select(parameters).run(timeout=60)
    assert page.session_state["chosen"] == expected
    assert InfluenceConfig.from_json(expected).objective == objective
    if objective == "masked":
        page.number_input(key="masks").set_value(3).run(timeout=60)
        assert page.session_state["chosen"]["masks"] == 3


def test_the_policy_for_long_sequences_is_a_field_where_it_is_not_the_default() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception
    assert page.session_state["chosen"] == {}
    page.selectbox(key="too-long").select_index(1).run(timeout=60)
    assert page.session_state["chosen"] == {"too_long": "window"}
    assert InfluenceConfig.from_json(page.session_state["chosen"]).too_long == "window"


def test_precision_and_the_limit_of_unscored_sequences_are_fields() -> None:
    page = AppTest.from_function(_page).run(timeout=60)
    page.selectbox(key="precision").select_index(1)
    page.number_input(key="unscored-limit").set_value(2.0).run(timeout=60)
    assert page.session_state["chosen"] == {"precision": "float32", "unscored_limit": 0.02}
    assert InfluenceConfig.from_json(page.session_state["chosen"]).unscored_limit == 0.02


def _more_settings() -> None:
    import streamlit as st

    from app.run_form import _more

    st.session_state["settings"] = _more({}, st.number_input("Left over", value=5_000, key="left-over"))


def test_held_out_sequences_that_were_set_outlive_another_subset() -> None:
    page = AppTest.from_function(_more_settings).run(timeout=60)
    assert page.session_state["settings"]["held_out_size"] == 256
    page.number_input(key="held-out").set_value(1_000).run(timeout=60)
    for left_over, held_out in ((4_900, 1_000), (600, 600), (3_000, 1_000), (0, 0)):
        page.number_input(key="left-over").set_value(left_over).run(timeout=60)
        assert not page.exception
        assert page.session_state["settings"]["held_out_size"] == held_out


def test_a_press_of_plus_changes_the_learning_rate_by_little() -> None:
    page = AppTest.from_function(_more_settings).run(timeout=60)
    assert page.number_input(key="rate").step == pytest.approx(1e-5)


def _new_run() -> None:
    from app.run_form import new_run, ready_datasets
    from app.services import workspace

    (project,) = workspace().projects()
    new_run(project, ready_datasets(project))


def test_what_a_run_will_take_is_measured_for_it_and_not_scaled_from_another_run(
    served: Workspace, tmp_path: Path
) -> None:
    _, dataset, _, run = sample_project(served, tmp_path / "pool.fasta")
    manifest = served.directory(run) / MANIFEST_FILE
    stages = [{"stage": name, "seconds": 5.0, "attempts": 1} for name in ("fine-tune", "score", "map")]
    finished = read_json(manifest)
    finished["counts"]["tokens"] = 21_000
    write_json(
        manifest, finished | {"stages": stages, "training": {"epochs": 1.0}, "hardware": {"device": "cpu"}}
    )
    page = AppTest.from_function(_new_run).run(timeout=60)
    assert not page.exception
    assert "measure-cost" in [button.key for button in page.button]
    page.number_input(key=f"subset-{dataset.id}").set_value(60).run(timeout=60)
    page.button(key="measure-cost").click().run(timeout=60)
    (noted,) = (served.root / "estimates").iterdir()
    stages_s = {"fine-tune": 61.0, "fisher": 2.0, "score": 100.0, "map": 17.0, "diagnostics": 60.0}
    cost = RunCost(stages_s, 800_000_000, 0, 405_000_000, 0, 21_000, "cpu", 16)
    write_json(noted / MANIFEST_FILE, {"kind": "estimate", "cost": cost.to_json()})
    page.run(timeout=60)
    assert not page.exception
    assert "measure-cost" not in [button.key for button in page.button]
    said = " ".join(element.proto.body for element in page.get("html"))
    assert "about 4 min" in said and "405" in said and "checks 1 min" in said
    page.number_input(key=f"subset-{dataset.id}").set_value(70).run(timeout=60)
    assert "measure-cost" in [button.key for button in page.button]


def _dataset_alone() -> None:
    import streamlit as st

    from app.run_form import _dataset, ready_datasets
    from app.services import workspace

    (project,) = workspace().projects()
    dataset, gone = _dataset(project, ready_datasets(project))
    st.session_state["scored"] = dataset.name, gone


def test_the_dataset_shown_is_scored_although_a_newer_one_is_ready_and_another_only_after_it_is_said(
    served: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, shown, _, run = sample_project(served, tmp_path / "pool.fasta")
    page = AppTest.from_function(_dataset_alone).run(timeout=60)
    assert page.session_state["scored"] == ("pool", False)
    newer = served.create_dataset(project, "newer", [tmp_path / "pool.fasta"])
    finish_dataset(served, newer, random_sequences(40))
    page.run(timeout=60)
    assert page.session_state["scored"] == ("pool", False)
    served.delete(run)
    served.delete(shown)
    page.run(timeout=60)
    assert not page.exception
    assert page.session_state["scored"] == ("newer", True)
    assert any("no longer offered" in element.proto.body for element in page.get("html"))
    monkeypatch.setattr(gone_choice, "_LATE_S", 0.0)
    page.run(timeout=60)
    assert page.session_state["scored"] == ("newer", False)
