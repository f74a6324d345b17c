import os
from collections import Counter
from pathlib import Path

import pytest

# Before torch is loaded: on processors shared with other work, threads that spin while they wait make small
# models up to eight times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# Several tests run at once, each with processes of its own: more threads than that only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# References are exact: processors with bf16 units compute in float32 as others do, in stages too. What bf16
# changes has tests of its own, which ask for it.
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE"
# Kernels for GPUs are interpreted where there is none. Triton reads this when it is loaded, by whomever.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, beside the checkout unless BIOPRUNE_SHARED_DATA says otherwise."""
    folder = Path(os.environ.get("BIOPRUNE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            "the real data sets are not beside the checkout; set BIOPRUNE_SHARED_DATA to their folder"
        )
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped and why: a skipped test is a claim that was not checked."""
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    terminalreporter.section("skipped tests")
    terminalreporter.write_line(f"{sum(reasons.values())} skipped")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"  {count} x {reason}")
