from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bioprune_core.cli.doctor import Verdict, examine
from bioprune_core.models import packed
from bioprune_core.settings import Settings


def _full(_: torch.device) -> object:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_sound_installation_has_no_problem(tmp_path: Path) -> None:
    findings = examine(Settings(workspace=tmp_path))
    assert [finding for finding in findings if finding.verdict is Verdict.PROBLEM] == []
    assert {"Python", "torch", "memory", "disk", "database"} <= {finding.what for finding in findings}


def test_a_database_that_does_not_answer_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    settings = Settings(
        workspace=tmp_path, database_url="postgresql+psycopg://someone:secret@127.0.0.1:9/none"
    )
    [finding] = [f for f in examine(settings) if f.what == "database"]
    assert finding.verdict is Verdict.PROBLEM
    assert "BIOPRUNE_DATABASE_URL" in finding.remedy
    assert "secret" not in finding.value


@pytest.mark.parametrize(
    ("url", "said"), [("nonsense", "cannot be understood"), ("mysql://host/jobs", "begins with mysql://")]
)
def test_a_database_that_cannot_be_is_a_problem_with_a_remedy(tmp_path: Path, url: str, said: str) -> None:
    [finding] = [f for f in examine(Settings(workspace=tmp_path, database_url=url)) if f.what == "database"]
    assert finding.verdict is Verdict.PROBLEM
    assert said in finding.value
    assert "BIOPRUNE_DATABASE_URL" in finding.remedy


def test_a_file_as_the_database_is_examined_and_not_made(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path, database_url=f"sqlite:///{tmp_path}/own.db")
    [finding] = [f for f in examine(settings) if f.what == "database"]
    assert finding.value.startswith("SQLite")
    assert list(tmp_path.iterdir()) == []


def test_little_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioprune_core.cli.doctor._LITTLE_DISK", 1 << 60)
    [finding] = [f for f in examine(Settings(workspace=tmp_path)) if f.what == "disk"]
    assert finding.verdict is Verdict.WARNING
    assert finding.remedy


@pytest.mark.parametrize(
    ("kernels", "verdict", "said"),
    [
        (lambda _: packed, Verdict.GOOD, "Some GPU, 80 GiB"),
        (lambda _: None, Verdict.WARNING, "without compiled kernels"),
        (_full, Verdict.WARNING, "no memory free"),
    ],
)
def test_a_gpu_on_which_scoring_would_be_slow_is_told_with_a_remedy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kernels: Callable[[torch.device], object],
    verdict: Verdict,
    said: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    properties = SimpleNamespace(name="Some GPU", total_memory=80 << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(packed, "gpu_kernels", kernels)
    [finding] = [each for each in examine(Settings(workspace=tmp_path)) if each.what == "GPU 0"]
    assert (finding.verdict, bool(finding.remedy)) == (verdict, verdict is Verdict.WARNING)
    assert said in finding.value
