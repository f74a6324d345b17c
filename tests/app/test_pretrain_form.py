"""What the form of a training can be told, and what becomes of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from workspace_samples import finish_dataset, random_sequences, sample_project

from app import gone_choice
from app.services import jobs
from bioprune_core.training import TrainingConfig, pretraining
from bioprune_core.training.config import Decay, Precision
from bioprune_core.workspace import Model, Workspace


def _page() -> None:
    from app.pretrain_form import new_training
    from app.run_form import ready_datasets
    from app.services import workspace

    (project,) = workspace().projects()
    new_training(project, ready_datasets(project))


@pytest.fixture
def page(served: Workspace, tmp_path: Path) -> AppTest:
    sample_project(served, tmp_path / "pool.fasta")
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception
    return page


def _started(served: Workspace, page: AppTest) -> Model | None:
    page.button(key="train").click().run(timeout=60)
    assert not page.exception
    return next((model for model in served.models() if model.reference is None), None)


def _said(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


@pytest.mark.parametrize("scale", ["tiny", "base"])
def test_an_untouched_form_trains_with_the_recommended_settings_of_the_size(
    served: Workspace, page: AppTest, scale: str
) -> None:
    page.selectbox(key="scale").select(scale).run(timeout=60)
    model = _started(served, page)
    assert model is not None and jobs().find(model.id) is not None
    config = served.config(model)
    assert TrainingConfig.from_json(config["training"]) == pretraining(scale)
    assert (config["validation_size"], config["device"]) == (256, "auto")
    # A second click is the same click.
    page.button(key="train").click().run(timeout=60)
    assert len([each for each in served.models() if each.reference is None]) == 1


def test_what_is_set_under_advanced_is_trained_with(served: Workspace, page: AppTest) -> None:
    for name, value in {
        "learning-rate": 0.0015,
        "training-warmup_fraction": 5.0,
        "training-weight_decay": 0.1,
        "training-token_budget": 4096,
        "training-device_tokens": 1024,
        "training-gradient_clip": 0.5,
        "training-mask_rate": 30.0,
        "training-checkpoint_every_steps": 50,
        "training-validation_size": 32,
    }.items():
        page.number_input(key=name).set_value(value)
    page.selectbox(key="training-decay").select("linear")
    page.selectbox(key="training-precision").select("float32")
    page.text_input(key="training-device").set_value(" CPU ")
    model = _started(served, page)
    assert model is not None
    config = served.config(model)
    assert TrainingConfig.from_json(config["training"]) == replace(
        pretraining("tiny"),
        learning_rate=0.0015,
        warmup_fraction=0.05,
        decay=Decay.LINEAR,
        weight_decay=0.1,
        token_budget=4096,
        device_tokens=1024,
        gradient_clip=0.5,
        mask_rate=0.3,
        precision=Precision.FLOAT32,
        checkpoint_every_steps=50,
    )
    assert (config["validation_size"], config["device"]) == (32, "cpu")


def test_no_such_device_is_said_before_anything_is_made(served: Workspace, page: AppTest) -> None:
    page.text_input(key="training-device").set_value("gpu0")
    assert _started(served, page) is None
    assert "does not compute on the device" in _said(page) and "Choose auto, cpu, cuda" in _said(page)


def test_name_and_rate_that_were_set_outlive_another_size_and_seed(page: AppTest) -> None:
    suggested = page.text_input(key="model-name").value
    page.number_input(key="model-seed").set_value(3).run(timeout=60)
    assert page.text_input(key="model-name").value == suggested.replace("seed 0", "seed 3")
    page.text_input(key="model-name").set_value("my own").run(timeout=60)
    page.number_input(key="learning-rate").set_value(0.001).run(timeout=60)
    page.selectbox(key="scale").select("base")
    page.number_input(key="model-seed").set_value(4).run(timeout=60)
    assert page.text_input(key="model-name").value == "my own"
    assert page.number_input(key="learning-rate").value == 0.001


@pytest.mark.parametrize(("scale", "rate", "step"), [("tiny", 2e-3, 1e-4), ("base", 4e-4, 1e-5)])
def test_a_rate_follows_the_size_and_changes_in_small_steps(
    page: AppTest, scale: str, rate: float, step: float
) -> None:
    page.selectbox(key="scale").select(scale).run(timeout=60)
    field = page.number_input(key="learning-rate")
    assert (field.value, field.step) == (rate, pytest.approx(step))


def test_no_model_is_trained_on_what_replaces_a_deleted_dataset_in_the_moment_of_the_click(
    served: Workspace, page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project,) = served.projects()
    chosen = served.create_dataset(project, "chosen", [tmp_path / "pool.fasta"])
    finish_dataset(served, chosen, random_sequences(40))
    page.run(timeout=60)
    page.selectbox(key=f"of-dataset-{project.id}").select(chosen.id).run(timeout=60)
    served.delete(chosen)
    assert _started(served, page) is None
    assert "no longer offered" in _said(page)
    monkeypatch.setattr(gone_choice, "_LATE_S", 0.0)
    model = _started(served, page)
    assert model is not None
    assert served.dataset(served.config(model)["dataset_id"]).name == "pool"
