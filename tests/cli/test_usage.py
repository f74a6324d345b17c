"""Wrong usage and interrupts end with a sentence and a code, never with a traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "bioprune_core.cli")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("frobnicate",), "frobnicate"),
        (("score", "--frobnicate", "1"), "--frobnicate"),
        (("select",), "run"),
        (("ingest", "pool.fasta", "--alphabet", "many"), "many"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(arguments: tuple[str, ...], said: str) -> None:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_interrupted_command_says_that_it_can_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--workspace", str(tmp_path), "demo", "--no-serve"],
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
