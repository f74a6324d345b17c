"""Experiments are read strictly, written back exactly, and warn of what they cannot tell."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planned_trial import configured, experiment

from bioprune_core.errors import InputError, MissingFileError
from bioprune_core.evaluation import Method, published_fine_tuning
from bioprune_core.experiments import ExperimentConfig, read_experiment

TOML = """
name = "trial"
project = "rna"
dataset = "pool"
run = "first"
sizes = [20]
seeds = [0, 1, 2]

[pretraining]
architecture = "rna-fm"
scale = "tiny"
budget = "equal-steps"
amount = 100
training = { token_budget = 1024 }

[[tasks]]
name = "rna-type"
folder = "data/nrc"

[[arms]]
kind = "top-influence"

[[arms]]
kind = "coverage-centric"
strata = 5
"""


def test_toml_and_json_files_are_the_same_experiment(tmp_path: Path) -> None:
    (tmp_path / "trial.toml").write_text(TOML)
    (tmp_path / "trial.json").write_text(json.dumps(experiment()))
    assert read_experiment(tmp_path / "trial.toml") == read_experiment(tmp_path / "trial.json")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "protocols": ["probe", "fine-tune"],
            "mixtures": ["label", "cluster"],
            "held_out_families": ["tRNA"],
        },
        {"near_identity": 0.8, "draw_seed": 7, "held_out_share": 0.0},
        {"arms": [{"kind": "mixture-matched", "grouping": "label", "of": {"kind": "top-influence"}}]},
        {
            "arms": [
                {"kind": "coverage-centric", "hardest_cut": 7.5, "strata_kind": "log-width", "sizes": [20]}
            ]
        },
        {
            "tasks": [{"name": "rbp", "folder": "x", "limit": 100}],
            "protocol_settings": {"probe": {"epochs": 3}},
        },
    ],
)
def test_what_is_written_reads_back_as_the_same(changes: dict[str, Any]) -> None:
    config = configured(**changes)
    again = ExperimentConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    assert again.digest == config.digest


def test_defaults_are_no_part_of_the_digest() -> None:
    plain = configured()
    spelt = configured(protocols=["probe"], held_out_share=0.01, exclude_tests=True, mixtures=["source"])
    assert spelt.digest == plain.digest
    assert configured(draw_seed=1).digest != plain.digest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": 1}, "Unknown settings of an experiment: colour"),
        ({"sizes": []}, "sizes is .* at least one value"),
        ({"sizes": [20, 20]}, "sizes is .* must not repeat"),
        ({"sizes": [2.5]}, "sizes is 2.5; it must be whole"),
        ({"sizes": 20}, "sizes is 20; it must be a list"),
        ({"seeds": [-1]}, "seeds is -1"),
        ({"seeds": [True]}, "seeds is True"),
        ({"name": ""}, "name is ''"),
        ({"tasks": []}, "tasks is .* at least one"),
        ({"tasks": [{"name": "rbp"}]}, "needs the `folder`"),
        ({"tasks": [{"name": "rbp", "folder": "x", "limit": 0}]}, "limit of task rbp is 0"),
        *(
            (
                {"tasks": [{"name": "rbp", "folder": "x", "limit": limit}]},
                "limit of task rbp is .* whole number",
            )
            for limit in ("3000", 2.5, True)
        ),
        ({"tasks": [{"name": 5, "folder": "x"}]}, "name of a task is 5"),
        ({"tasks": ["rbp"]}, "task is 'rbp'; it must be a table"),
        ({"name": 5}, "name is 5; it must be a text"),
        ({"run": 5}, "run is 5"),
        ({"held_out_families": [5]}, r"held_out_families is \(5,\); it must be a list of names"),
        ({"mixtures": [["source"]]}, "mixtures is .* list of names"),
        ({"protocols": [["probe"]]}, "protocols is .*may be probe, fine-tune"),
        ({"protocol_settings": ["probe"]}, "protocol_settings is .* table of tables"),
        ({"pretraining": "tiny"}, "pretraining is 'tiny'; it must be a table"),
        ({"arms": ["full"]}, "[Aa]n arm is 'full'; it must be a table"),
        ({"arms": [{"kind": "full", "name": 5}]}, "name of an arm is 5"),
        ({"arms": [{"kind": "full", "sizes": ["x", 5]}]}, r"has sizes \['x', 5\]"),
        ({"protocols": ["guess"]}, "protocols is .*guess"),
        ({"protocol_settings": {"fine-tune": {}}}, "protocol_settings"),
        (
            {"protocols": ["fine-tune"], "protocol_settings": {"fine-tune": {"published": 1}}},
            "published is 1; it must be true or false",
        ),
        ({"mixtures": []}, "mixtures is .* at least one"),
        ({"protocol_settings": {"probe": {"strenghts": [1]}}}, "Unknown settings of the probe: strenghts"),
        (
            {"protocol_settings": {"probe": {"rank": "wide"}}},
            "rank is wide; it must be a whole number of at least 1",
        ),
        (
            {"protocol_settings": {"probe": {"strengths": 1}}},
            "setting of the protocol probe has another type",
        ),
        (
            {"protocol_settings": {"probe": "layers"}},
            "protocol_settings.probe is 'layers'; it must be a table",
        ),
        ({"held_out_share": 1}, r"held_out_share is 1; it must be a number in \[0, 1\)"),
        ({"held_out_share": "0.01"}, "held_out_share is '0.01'"),
        ({"exclude_tests": "no"}, "exclude_tests is 'no'; it must be true or false"),
        ({"near_identity": 0}, "near_identity is 0"),
        ({"near_identity": "0.5"}, "near_identity is '0.5'"),
        ({"arms": [{"kind": "full", "sizes": 5}]}, "sizes of an arm are 5; they must be a list"),
        ({"near_identity": 0.9, "exclude_tests": False}, "exclude_tests is false"),
        ({"run": None}, 'arm "top-influence" selects by influence'),
        ({"arms": [{"kind": "full", "sizes": [5]}]}, r"has sizes \[5\] that the experiment has not: \[20\]"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        configured(**changes)


def test_fine_tuning_as_published_is_that_of_each_task_but_for_what_is_set() -> None:
    names = ("rna-type", "contact-map")
    tasks = [{"name": name, "folder": name} for name in names]
    settings = {"fine-tune": {"published": True, "epochs": 3}}
    config = configured(tasks=tasks, protocols=["fine-tune"], protocol_settings=settings)
    for name in names:
        tuning = config.protocol(Method.FINE_TUNE, name).fine_tune
        assert tuning == replace(published_fine_tuning(name), epochs=3)
    with pytest.raises(InputError, match="publishes no settings for the task rbp"):
        configured(
            tasks=[{"name": "rbp", "folder": "x"}], protocols=["fine-tune"], protocol_settings=settings
        )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "cnn"}, "no architecture cnn .* choose one of rna-fm, esm-2, esm-c"),
        ({"architecture": "auto"}, "no architecture auto for a network from scratch"),
        ({"scale": "huge"}, "no scale huge"),
        ({"budget": "equal-hours"}, "budget is 'equal-hours'"),
        ({"amount": 0}, "amount of the pretraining is 0"),
        ({"amount": "many"}, "amount of the pretraining is 'many'"),
        ({"amount": 1.5}, "steps is 1.5"),
        ({"training": [1]}, r"pretraining.training is \[1\]; it must be a table"),
        ({"training": {"steps": 5}}, "training.steps is 5; it is set by"),
        ({"training": {"warmth": 5}}, "Unknown training settings: warmth"),
    ],
)
def test_pretraining_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        configured(pretraining=experiment()["pretraining"] | changes)


def test_what_is_missing_is_named() -> None:
    value = experiment()
    del value["sizes"], value["pretraining"]
    with pytest.raises(InputError, match="lacks sizes, pretraining"):
        ExperimentConfig.from_json(value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("broken.toml", "name = ", "is not valid TOML"),
        ("broken.json", "{", "is not valid JSON"),
        ("list.json", "[]", "it must be an object"),
        ("empty.toml", "", r"empty\.toml: The experiment lacks name"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_by_name(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_experiment(path)
    assert name in caught.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_experiment(tmp_path / "none.toml")


def test_few_seeds_are_accepted_with_a_warning() -> None:
    assert any("one seed" in sentence for sentence in configured(seeds=[3]).warnings)
    assert any("4 seeds" in sentence for sentence in configured(seeds=[0, 1, 2, 3]).warnings)
    assert configured(seeds=[0, 1, 2, 3, 4], held_out_families=["tRNA"]).warnings == ()


def test_an_experiment_without_a_held_out_family_says_what_its_losses_leave_open() -> None:
    assert any("No family is held out" in sentence for sentence in configured().warnings)
    (said,) = configured(seeds=[0, 1, 2, 3, 4], held_out_share=0).warnings
    assert "Nothing is held out" in said


def test_equal_steps_and_equal_epochs_train_for_what_they_say() -> None:
    steps = configured().pretraining
    assert (steps.training_config(4).steps, steps.training_config(4).seed) == (100, 4)
    assert steps.tokens(10) == steps.tokens(10_000) == 100 * 1024
    epochs = configured(
        pretraining=experiment()["pretraining"] | {"budget": "equal-epochs", "amount": 2.5}
    ).pretraining
    assert (epochs.training_config(0).steps, epochs.training_config(0).epochs) == (None, 2.5)
    assert epochs.tokens(1000) == 2500


def test_leaving_leaks_out_is_said_and_changes_the_digest_only_where_asked_for() -> None:
    plain, asked = configured(), configured(leave_out_leaks=True)
    assert configured(leave_out_leaks=False).digest == plain.digest != asked.digest
    assert "leave_out_leaks" not in plain.to_json()
    assert ExperimentConfig.from_json(asked.to_json()) == asked
    with pytest.raises(InputError, match="leave_out_leaks is 'yes'; it must be true or false"):
        configured(leave_out_leaks="yes")


def test_a_training_setting_of_another_type_is_refused_in_words() -> None:
    pretraining = {**experiment()["pretraining"], "training": {"learning_rate": "1e-3"}}
    with pytest.raises(InputError, match="training setting has another type"):
        configured(pretraining=pretraining)
