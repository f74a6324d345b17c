"""Several workers on one scoring, with PostgreSQL between them: its scores are those of one worker alone."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from fault_runs import digests, planned_run, stage_processes, start_worker
from postgresql_server import server  # noqa: F401 - a fixture
from real_worker import WITHOUT_MAP
from stages_here import compute_here
from workspace_samples import random_sequences

from bioprune_core.jobs import JobClient, JobKind, JobState
from bioprune_core.models import create_model, save_model

pytestmark = pytest.mark.faults

TESTS = Path(__file__).resolve().parents[1]
WORKERS, KILLED = 4, 2
LATEST_KILL_S = 1.0
"""After the first help, or the last kill. A quick machine does the rest of the run in 3 s."""
PATIENCE_S = 500.0
"""Only a hang takes so long; on two quiet processors a run takes about a minute."""


def test_four_workers_of_which_two_are_killed_give_the_scores_of_one(
    tmp_path: Path,
    server: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
    seed = int(os.environ.get("BIOPRUNE_FAULT_SEED", str(random.SystemRandom().randrange(1 << 32))))
    print(f"BIOPRUNE_FAULT_SEED={seed}")
    moments = random.Random(seed)
    source, model = tmp_path / "pool.fa", tmp_path / "model"
    sequences = random_sequences(4_000)
    source.write_text("".join(f">seq{row}\n{letters}\n" for row, letters in enumerate(sequences)))
    save_model(create_model("rna-fm", "tiny", "rna", seed=0), model)

    sizes = {"subset_size": 1_100, "shard_size": 64}
    reference, alone = planned_run(tmp_path / "alone", source, model, **sizes)
    compute_here(reference, JobKind.SCORE, alone.id, WITHOUT_MAP)
    expected = digests(reference.directory(alone))

    monkeypatch.setenv("BIOPRUNE_DATABASE_URL", server)
    workspace, run = planned_run(tmp_path / "shared", source, model, **sizes)
    directory = workspace.directory(run)
    workers = {name: start_worker(workspace, name) for name in (f"worker-{each}" for each in range(WORKERS))}
    victims = moments.sample(sorted(workers), KILLED)
    try:
        with JobClient(workspace, WITHOUT_MAP) as client:
            job = client.enqueue(JobKind.SCORE, run.id)
            deadline = time.monotonic() + PATIENCE_S
            next_kill = None
            while not client.get(job).state.is_final:
                assert time.monotonic() < deadline, client.get(job)
                time.sleep(0.05)
                if next_kill is None:
                    # From the moment on when one worker does the scores and another helps.
                    helped = any(directory.glob("logs/score-worker-*.log"))
                    next_kill = time.monotonic() + moments.uniform(0, LATEST_KILL_S) if helped else None
                elif victims and time.monotonic() > next_kill:
                    workers[victims.pop()].send_signal(signal.SIGKILL)
                    next_kill = time.monotonic() + moments.uniform(0, LATEST_KILL_S)
            done = client.get(job)
            deadline = time.monotonic() + 30
            while stage_processes(directory):
                assert time.monotonic() < deadline, "a helper goes on when the run is done"
                time.sleep(0.05)
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()
    assert done.state is JobState.DONE, done.error
    assert len(victims) < KILLED, "the run was over before anybody was killed"
    assert digests(directory) == expected
