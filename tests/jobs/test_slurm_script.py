"""The script in docs/cluster.md, as a batch system starts it: its variables, its signal."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cluster.md"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the script is one of bash")


@pytest.fixture
def script() -> str:
    blocks = re.findall(r"^```\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if "#SBATCH" in block]
    return str(found)


def test_the_documented_script_starts_a_worker_that_leaves_on_sigterm(script: str, tmp_path: Path) -> None:
    assert script.startswith("#!/bin/bash\n")
    for written, here in {
        "BIOPRUNE_WORKSPACE=/shared/bioprune": f"BIOPRUNE_WORKSPACE={tmp_path}",
        "postgresql://bioprune@db.example.org/bioprune": f"sqlite:///{tmp_path}/jobs.db",
        "/shared/bioprune/.venv/bin/bioprune": f"{sys.executable} -m bioprune_core.cli",
    }.items():
        assert script.count(written) == 1, written
        script = script.replace(written, here)
    path = tmp_path / "workers.sbatch"
    path.write_text(script)
    subprocess.run(["bash", "-n", path], check=True)
    variables = {"SLURM_CPUS_PER_TASK": "1", "SLURM_ARRAY_TASK_ID": "2"}
    worker = subprocess.Popen(
        ["bash", path], stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("Worker slurm-2 is ready.")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 0
        assert "Worker slurm-2 is leaving." in worker.stdout.read()
    finally:
        worker.kill()
        worker.communicate()
