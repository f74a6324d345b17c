"""kill -9 at random moments: the run completes, and its files are those of an undisturbed run."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from fault_runs import digests, planned_run, stage_processes, start_worker
from real_worker import WITHOUT_MAP
from stages_here import compute_here
from workspace_samples import random_sequences

from bioprune_core.jobs import JobClient, JobKind, JobState
from bioprune_core.jobs.process import RESTARTS
from bioprune_core.models import create_model, save_model

pytestmark = pytest.mark.faults

TESTS = Path(__file__).resolve().parents[1]
KILLS = 4
PATIENCE_S = 500.0
"""Only a hang takes so long; on two quiet processors a run takes about 15 s."""


@pytest.fixture
def moments() -> random.Random:
    """Chooses moments and victims; BIOPRUNE_FAULT_SEED repeats a choice."""
    seed = int(os.environ.get("BIOPRUNE_FAULT_SEED", str(random.SystemRandom().randrange(1 << 32))))
    print(f"BIOPRUNE_FAULT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(autouse=True)
def few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread a stage: sums in the same order, and no fight for processors with other tests."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))


def test_a_run_killed_at_random_moments_has_the_scores_of_an_undisturbed_one(
    tmp_path: Path, moments: random.Random
) -> None:
    source, model = tmp_path / "pool.fa", tmp_path / "model"
    sequences = random_sequences(160)
    source.write_text("".join(f">seq{row}\n{letters}\n" for row, letters in enumerate(sequences)))
    save_model(create_model("rna-fm", "tiny", "rna", seed=0), model)

    reference, undisturbed = planned_run(tmp_path / "undisturbed", source, model)
    compute_here(reference, JobKind.SCORE, undisturbed.id, WITHOUT_MAP)
    expected = digests(reference.directory(undisturbed))
    assert sum(name.startswith("scores/") for name in expected) == 10

    workspace, run = planned_run(tmp_path / "disturbed", source, model)
    directory = workspace.directory(run)
    names = iter(f"worker-{number}" for number in range(1_000))
    worker = start_worker(workspace, next(names))
    kills = {"worker": 0, "stage": 0}
    try:
        with JobClient(workspace, WITHOUT_MAP) as client:
            job = client.enqueue(JobKind.SCORE, run.id)
            deadline = time.monotonic() + PATIENCE_S
            next_kill = time.monotonic() + moments.uniform(1, 6)
            while not client.get(job).state.is_final:
                assert time.monotonic() < deadline, client.get(job)
                time.sleep(0.05)
                stages = stage_processes(directory)
                if sum(kills.values()) == KILLS or time.monotonic() < next_kill or not stages:
                    continue
                # A stage that is killed more often is given up on purpose: most often memory is short.
                spared = kills["stage"] == RESTARTS
                victim = "worker" if spared else moments.choice(["worker", "stage"])
                if victim == "worker":
                    worker.kill()
                    worker.wait()
                    # The same worker started again, or another one that finds it dead.
                    name = worker.args[-1] if moments.random() < 0.5 else next(names)  # type: ignore[index]
                    worker = start_worker(workspace, str(name))
                else:
                    for process in stages:
                        os.kill(process, signal.SIGKILL)
                kills[victim] += 1
                next_kill = time.monotonic() + moments.uniform(0.2, 5)
            done = client.get(job)
    finally:
        worker.kill()
        worker.wait()
    print(f"killed: {kills}")
    assert done.state is JobState.DONE, done.error
    assert sum(kills.values()) > 0
    assert digests(directory) == expected
    assert list(directory.rglob(".*.part")) == []
