"""Benchmarks are started by hand: what they import must not go away unseen."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# All in one process, which loads torch once.
LOAD = """
import runpy, sys
for script in sys.argv[1:]:
    runpy.run_path(script, run_name="benchmark")
    print(script)
"""


def test_every_benchmark_finds_what_it_imports() -> None:
    scripts = sorted(str(path) for path in HERE.glob("bench_*.py"))
    assert scripts
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, *scripts],
        env={"PYTHONPATH": str(HERE), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == scripts
