"""Wrong usage and interrupts end with a sentence and a code, never with a traceback."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioprune_core.cli import main
from bioprune_core.jobs import JobClient, JobKind
from bioprune_core.jobs.context import log_file
from bioprune_core.training import Decay, Precision, TrainingConfig
from bioprune_core.workspace import ModelConfig, Workspace

Command = Callable[..., tuple[int, Any]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("frobnicate",), "frobnicate"),
        (("score", "--frobnicate", "1"), "--frobnicate"),
        (("select",), "run"),
        (("ingest", "pool.fasta", "--alphabet", "many"), "many"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["bioprune", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scale", "huge"), "choose one of tiny, small, base, full."),
        (("--architecture", "esm2"), "choose one of rna-fm, esm-2, esm-c."),
        (("--architecture", "auto"), "choose one of rna-fm, esm-2, esm-c."),
        (("--device", "gpu"), "Choose auto, cpu, cuda"),
        (("--steps", "0"), "steps is 0"),
        (("--mask-rate", "0"), "mask_rate is 0.0; it must be above 0 and at most 1"),
        (("--weight-decay", "-1"), "weight_decay is -1.0; it must be at least 0"),
        (("--gradient-clip", "0"), "gradient_clip is 0.0; it must be above 0"),
        (("--checkpoint-every", "0"), "checkpoint_every_steps is 0; it must be at least 1"),
        (("--training-size", "0"), "training_size is 0; it must be at least 1"),
        (("--plan", "--queue"), "one of --plan and --queue"),
    ],
)
def test_a_model_that_cannot_be_is_refused_before_it_is_noted(
    bioprune: Command, sample: Workspace, options: tuple[str, ...], said: str
) -> None:
    code, error = bioprune(
        "pretrain", "--project", "Sample", "--dataset", "pool", "--name", "wrong", *options
    )
    assert code == 2
    assert said in error["error"]
    assert [model.name for model in sample.models()] == ["tiny"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--model", "rna-fm", "--device", "gpu"), 2, "Choose auto, cpu, cuda"),
        (("--model", "rna-fm", "--subset", "501"), 2, "at most 500"),
        (("--model", "esm2-8m"), 2, "reads protein"),
        (("--model", "rna-fm", "--name", " "), 2, "The run name is empty"),
        (("--model", "rna-fm", "--estimate", "--queue"), 2, "one of --estimate and --queue"),
        (("--model", "tinny"), 3, "Did you mean tiny?"),
    ],
)
def test_a_run_that_cannot_be_leaves_no_model_behind(
    bioprune: Command, sample: Workspace, options: tuple[str, ...], code: int, said: str
) -> None:
    ended, error = bioprune("score", "--project", "Sample", "--dataset", "pool", "--subset", 60, *options)
    assert ended == code
    assert said in error["error"]
    assert [model.name for model in sample.models()] == ["tiny"]
    assert len(sample.runs()) == 1


def test_every_setting_of_a_training_reaches_the_model(bioprune: Command, sample: Workspace) -> None:
    code, planned = bioprune(
        *("pretrain", "--project", "Sample", "--dataset", "pool", "--name", "all-set", "--plan", "--seed", 3),
        *("--training-size", 90, "--validation", 10, "--tokens", 5_000, "--token-budget", 400),
        *("--device-tokens", 200, "--learning-rate", 0.002, "--warmup", 0.2, "--decay", "linear"),
        *("--weight-decay", 0.1, "--gradient-clip", 2, "--mask-rate", 0.3, "--precision", "float32"),
        *("--checkpoint-every", 7, "--device", "cuda:1"),
    )
    assert code == 0
    config = ModelConfig.from_json(sample.config(sample.model("all-set")))
    assert planned["id"] == sample.model("all-set").id
    assert (config.seed, config.training_size, config.validation_size, config.device) == (3, 90, 10, "cuda:1")
    assert TrainingConfig.from_json(config.training) == TrainingConfig(
        steps=None,
        tokens=5_000,
        token_budget=400,
        device_tokens=200,
        learning_rate=0.002,
        warmup_fraction=0.2,
        decay=Decay.LINEAR,
        weight_decay=0.1,
        gradient_clip=2.0,
        mask_rate=0.3,
        precision=Precision.FLOAT32,
        checkpoint_every_steps=7,
        seed=3,
    )


def test_a_training_that_is_not_finished_takes_steps_in_more_parts_and_nothing_else(
    bioprune: Command, sample: Workspace
) -> None:
    command = ("pretrain", "--project", "Sample", "--dataset", "pool", "--name", "in parts", "--plan")
    planned = bioprune(*command)
    assert bioprune(*command, "--device-tokens", 500) == planned
    config = ModelConfig.from_json(sample.config(sample.model("in parts")))
    assert config.training["device_tokens"] == 500
    assert bioprune(*command, "--learning-rate", 0.5)[0] == 4
    assert ModelConfig.from_json(sample.config(sample.model("in parts"))) == config


@pytest.mark.parametrize("command", ["doctor", "serve", "list"])
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "BIOPRUNE_STOP_TIMEOUT_S",
            "abc",
            "BIOPRUNE_STOP_TIMEOUT_S is 'abc': Input should be a valid number",
        ),
        ("BIOPRUNE_STOP_TIMEOUT_S", "30", "BIOPRUNE_STOP_TIMEOUT_S is '30': Input should be less than"),
        (
            "BIOPRUNE_IMPORT_FOLDERS",
            "data",
            "BIOPRUNE_IMPORT_FOLDERS names 'data', which is no absolute path",
        ),
    ],
)
def test_a_variable_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    variable: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.argv", ["bioprune", command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"Error: {said}")


def test_the_queue_is_listed_with_worker_and_stage_and_has_logs(bioprune: Command, sample: Workspace) -> None:
    run = sample.runs()[0]
    log = log_file(sample.directory(run), "fisher")
    log.parent.mkdir(exist_ok=True)
    log.write_text("Traceback of a stage\n")
    with JobClient(sample) as client:
        job = client.enqueue(JobKind.SCORE, run.id)
    code, [row] = bioprune("jobs")
    assert (code, row["job"], row["worker"], row["stage"]) == (0, job, "", "")
    code, printed = bioprune("jobs", "log", job)
    assert code == 0
    assert printed["log"] == "== fisher\nTraceback of a stage\n"


def test_an_address_of_no_machine_is_not_called_taken(bioprune: Command, sample: Workspace) -> None:
    code, error = bioprune("demo", "--host", "192.0.2.1")  # reserved for documentation
    assert code == 2
    assert "--host" in error["error"]


def test_an_interrupted_command_says_that_it_can_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bioprune_core.cli", "--workspace", str(tmp_path), "demo", "--no-serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=120)[0]
    assert "goes on from there" in said
    assert "Traceback" not in said
    assert process.returncode == 130
