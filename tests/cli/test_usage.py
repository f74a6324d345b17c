"""Wrong usage and interrupts end with a sentence and a code, never with a traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bioprune_core.cli import main


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
