"""Training from scratch on a coreset, and by several processes that torchrun starts."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from workspace_samples import open_workspace, random_sequences

from bioprune_core.errors import InputError, StageError
from bioprune_core.jobs import JobKind, distributed, pretrain_stages, run_in_foreground
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.distributed import main
from bioprune_core.jobs.pretrain_stages import train_from_scratch
from bioprune_core.progress import Progress, discard
from bioprune_core.sequences import Pool
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import read_json
from bioprune_core.training import TrainingHistory
from bioprune_core.training.group import ALONE, TrainingGroup
from bioprune_core.training.history import Curve
from bioprune_core.workspace import Dataset, State, Workspace
from bioprune_core.workspace.coresets import MEMBERS_FILE
from bioprune_core.workspace.events import EventKind, EventLog, last_failure, read_events

LENGTH = {"steps": 3, "token_budget": 400, "device_tokens": 300}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Dataset]]:
    root = tmp_path_factory.mktemp("pretraining")
    workspace = open_workspace(root / "workspace")
    source = root / "pool.fa"
    source.write_text("".join(f">seq{row}\n{letters}\n" for row, letters in enumerate(random_sequences(60))))
    dataset = workspace.create_dataset(workspace.create_project("lab"), "pool", [source], {"alphabet": "rna"})
    run_in_foreground(workspace, JobKind.INGEST, dataset.id)
    yield workspace, dataset
    workspace.close()


def planned(made: tuple[Workspace, Dataset], name: str, **settings: object) -> Path:
    workspace, dataset = made
    config = workspace.plan_model(dataset, "rna-fm", "tiny", training=LENGTH, validation_size=5, **settings)
    return workspace.layout.model(workspace.create_model(dataset.project_id, name, config).id)


def test_a_pretraining_of_no_epochs_is_refused(made: tuple[Workspace, Dataset]) -> None:
    workspace, dataset = made
    with pytest.raises(InputError, match="0 epochs trains nothing"):
        workspace.plan_model(dataset, "rna-fm", "tiny", training={"epochs": 0})


def write_members(folder: Path, positions: list[int]) -> None:
    folder.mkdir(parents=True)
    table = {"position": np.array(positions), "hash": np.array(positions, dtype=np.uint64)}
    pq.write_table(pa.table(table), folder / MEMBERS_FILE)


def test_a_coreset_alone_is_trained_on_and_the_loss_measured_outside(
    made: tuple[Workspace, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = made
    members = [3, 8, 15, 16, 23, 42]
    write_members(workspace.layout.coreset("coreset-1"), members)
    seen: list[list[int]] = []
    take = Pool.take

    def watched(pool: Pool, positions: NDArray[np.int64]) -> SequenceBlock:
        seen.append(positions.tolist())
        return take(pool, positions)

    def trained(*_: object, **__: object) -> TrainingHistory:
        raise InputError("seen enough")

    monkeypatch.setattr(Pool, "take", watched)
    monkeypatch.setattr(pretrain_stages, "train", trained)
    with pytest.raises(InputError, match="seen enough"):
        train_from_scratch(StageContext(planned(made, "on-coreset", coreset_id="coreset-1"), discard))
    held_out, trained_on = seen
    assert trained_on == members
    assert len(held_out) == 5
    assert not set(held_out) & set(members)


def test_a_coreset_that_is_gone_is_named(made: tuple[Workspace, Dataset]) -> None:
    with pytest.raises(InputError, match="coreset-9 is no longer there"):
        train_from_scratch(StageContext(planned(made, "on-none", coreset_id="coreset-9"), discard))


def test_a_coreset_of_the_whole_dataset_has_no_validation_and_says_so(
    made: tuple[Workspace, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = made
    write_members(workspace.layout.coreset("coreset-all"), list(range(60)))
    given: list[object] = []

    def trained(*arguments: object, **_: object) -> TrainingHistory:
        given.append(arguments[5])
        return TrainingHistory(Curve([1.3], [1e-3], [0.5], [10], [2]), [], 0, 0, "hash")

    monkeypatch.setattr(pretrain_stages, "train", trained)
    folder, told = planned(made, "on-all", coreset_id="coreset-all"), list[str]()
    train_from_scratch(StageContext(folder, discard, told.append))
    assert given == [None]
    assert "coreset-all leaves none of the dataset's 60 sequences outside" in told[0]
    assert read_json(folder / "manifest.json")["training"]["notes"] == told


def test_a_model_that_learned_no_more_than_letter_frequencies_says_so(
    made: tuple[Workspace, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = Curve([1.4], [1e-3], [0.5], [10], [2])
    ended = TrainingHistory(curve, [(0, 3.3), (1, 1.3861)], 0, 0, "hash", 1.386)
    monkeypatch.setattr(pretrain_stages, "train", lambda *_, **__: ended)
    folder, told = planned(made, "letters"), list[str]()
    train_from_scratch(StageContext(folder, discard, told.append))
    assert "no more than letter frequencies" in told[0] and "is 1.3861, which is no better than" in told[0]
    assert read_json(folder / "manifest.json")["training"]["notes"] == told


def test_sequences_that_were_cut_or_left_out_are_told(
    made: tuple[Workspace, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = Curve([1.4], [1e-3], [0.5], [10], [2])
    ended = TrainingHistory(curve, [], unusable=2, truncated=1_234, content_hash="hash")
    monkeypatch.setattr(pretrain_stages, "train", lambda *_, **__: ended)
    folder, told = planned(made, "cut"), list[str]()
    train_from_scratch(StageContext(folder, discard, told.append))
    assert "1,234 sequences are longer than the 1,022 residues" in told[0]
    assert "2 sequences have no known residue" in told[1]


def train_as_started(folder: str) -> int:
    """One of the processes."""
    torch.set_num_threads(1)  # threads are not forked
    return main([folder])


def test_two_processes_of_torchrun_train_what_one_trains(
    made: tuple[Workspace, Dataset], capfd: pytest.CaptureFixture[str]
) -> None:
    workspace, dataset = made
    both, alone = planned(made, "both", device="cpu"), planned(made, "alone", device="cpu")
    # What torchrun does, but from here: its processes would load torch anew, for 40 s of processor time.
    settings = LaunchConfig(1, 1, 2, rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method="fork")
    assert elastic_launch(settings, train_as_started)(str(both)) == {0: 0, 1: 0}
    assert capfd.readouterr().out.count("step 3 of 3: ") == 1
    train_from_scratch(StageContext(alone, discard))
    histories = [TrainingHistory.read(folder) for folder in (both, alone)]
    assert histories[0] is not None
    assert histories[1] is not None
    np.testing.assert_allclose(histories[0].curve.loss, histories[1].curve.loss, rtol=0, atol=1e-4)
    manifest = read_json(both / "manifest.json")
    assert manifest["training"]["processes"] == 2
    assert manifest["training"]["validation"][-1]["perplexity"] > 1
    assert workspace.state(workspace.model("both", dataset.project_id)) is State.DONE
    events = read_events(both)
    assert [event.kind for event in events if event.kind.is_state] == [EventKind.STARTED, EventKind.FINISHED]
    assert [event.done for event in events if event.progress][-1] == 3
    assert elastic_launch(settings, train_as_started)(str(both)) == {0: 0, 1: 0}
    assert read_json(both / "manifest.json") == manifest, "a finished model is left as it is"
    assert read_events(both) == events


class Connected(TrainingGroup):
    """A place among two processes, of which the other says what this one says."""

    def sums(self, values: Sequence[float], _: torch.device) -> list[float]:
        return [float(value) for value in values]


@pytest.mark.parametrize("first_failed_alike", [False, True])
def test_why_another_process_than_the_first_failed_is_written_down(
    made: tuple[Workspace, Dataset], monkeypatch: pytest.MonkeyPatch, first_failed_alike: bool
) -> None:
    folder = planned(made, f"second fails, {first_failed_alike}", device="cpu")
    log = EventLog(folder)

    def fail(context: StageContext, group: TrainingGroup) -> None:
        log.write(EventKind.STARTED)
        if first_failed_alike:
            log.write(EventKind.FAILED, "train", "The training diverged.")
        raise StageError("The training diverged." if first_failed_alike else "The device is full.")

    monkeypatch.setattr(distributed, "joined_group", lambda _: nullcontext(Connected(rank=1, size=2)))
    monkeypatch.setattr(distributed, "train_from_scratch", fail)
    monkeypatch.setattr(distributed, "_FIRST_SPEAKS_S", 0.0)
    assert main([str(folder)]) == 6
    said = (
        "The training diverged."
        if first_failed_alike
        else "The process of rank 1 failed: The device is full."
    )
    assert [event.message for event in read_events(folder) if event.kind is EventKind.FAILED] == [said]


def test_the_first_process_repeats_why_another_failed(
    made: tuple[Workspace, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees a lost connection, and its own sentence is the one that pages show."""
    workspace, dataset = made
    folder = planned(made, "connection lost", device="cpu")

    def fail(context: StageContext, group: TrainingGroup) -> None:
        EventLog(folder).write(EventKind.FAILED, "train", "The process of rank 1 failed: The device is full.")
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(distributed, "joined_group", lambda _: nullcontext(Connected(rank=0, size=2)))
    monkeypatch.setattr(distributed, "train_from_scratch", fail)
    assert main([str(folder)]) == 6
    assert last_failure(folder) == "The process of rank 1 failed: The device is full."
    assert workspace.state(workspace.model("connection lost", dataset.project_id)) is State.FAILED


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (StageError("The training diverged."), 6, "The training diverged."),
        (RuntimeError("CUDA error: out of memory"), 6, "ran out of memory"),
        (RuntimeError("a peer is gone"), 6, "failed unexpectedly"),
    ],
)
def test_a_failure_of_several_processes_is_the_models_state(
    made: tuple[Workspace, Dataset],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    sentence: str,
) -> None:
    def fail(context: StageContext, group: TrainingGroup) -> None:
        context.report(Progress("train", 1, 3, "steps", {"loss": 3.2}))
        raise error

    workspace, dataset = made
    folder = planned(made, f"fails, {sentence[:9]}", device="cpu")
    monkeypatch.setattr(distributed, "joined_group", lambda _: nullcontext(ALONE))
    monkeypatch.setattr(distributed, "train_from_scratch", fail)
    assert main([str(folder)]) == code
    assert sentence in capsys.readouterr().err
    assert workspace.state(workspace.model(f"fails, {sentence[:9]}", dataset.project_id)) is State.FAILED
    started, progress, failed = read_events(folder)
    assert started.kind is EventKind.STARTED
    assert progress.progress == Progress("train", 1, 3, "steps", {"loss": 3.2})
    assert sentence in failed.message


def test_a_wrong_folder_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "torchrun --nproc-per-node" in capsys.readouterr().err
