"""Training of one model by several processes, a GPU each, started by torchrun.

    torchrun --nproc-per-node 4 -m bioprune_core.jobs.distributed WORKSPACE/models/MODEL

The folder is that of a model which `bioprune pretrain --plan` made. Started again after an interruption, with
any number of processes, the training goes on from its last checkpoint. What happens is written to the model's
events, as of every job.
"""

import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bioprune_core.errors import BioPruneError, InputError, StageError
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.drive import recorded
from bioprune_core.jobs.environment import resolve_device
from bioprune_core.jobs.kinds import PLANS, JobKind
from bioprune_core.jobs.pretrain_stages import train_from_scratch
from bioprune_core.jobs.stage import as_failure
from bioprune_core.progress import Progress, discard
from bioprune_core.storage import read_json
from bioprune_core.training.group import TrainingGroup, joined_group, local_device
from bioprune_core.workspace.configuration import CONFIG_FILE, ModelConfig
from bioprune_core.workspace.events import EventKind, EventLog, last_failure, recent_events
from bioprune_core.workspace.locks import JOB_LOCK, hold
from bioprune_core.workspace.state import is_complete

__all__ = ["main"]

_EVERY = 10
"""Steps between two lines of progress."""

_FIRST_SPEAKS_S = 2.0
"""What all processes find wrong, such as a training that diverges, the first writes down in this time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as one of the processes; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(given) != 1 or not (Path(given[0]) / CONFIG_FILE).is_file():
            raise InputError(
                "Give the folder of a planned model: torchrun --nproc-per-node N -m "
                "bioprune_core.jobs.distributed WORKSPACE/models/MODEL."
            )
        _train(Path(given[0]).resolve())
    except BioPruneError as error:
        print(f"Error: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0


def _train(directory: Path) -> None:
    config = ModelConfig.from_json(read_json(directory / CONFIG_FILE))
    device = local_device(resolve_device(config.device))
    with joined_group(device) as group:
        # The others are watched by torchrun, which ends them when the first cannot have the lock.
        own = hold(directory / JOB_LOCK, f"model {directory.name}") if group.leads else nullcontext()
        with own:
            # As the first sees it: if one went by itself, the others would wait for it.
            (complete,) = group.sums([float(group.leads and is_complete(directory))], device)
            if complete:
                return
            if group.leads:
                _train_and_tell(directory, group)
            else:
                with _spoken_for(directory, group):
                    train_from_scratch(StageContext(directory, discard), group)


def _train_and_tell(directory: Path, group: TrainingGroup) -> None:
    """Train as the first process, which writes down how it goes and how it ends."""
    (stage,) = PLANS[JobKind.PRETRAIN]
    log = EventLog(directory)

    def report(progress: Progress) -> None:
        log.report(progress)
        _print(progress)

    def tell(sentence: str) -> None:
        log.write(EventKind.NOTE, stage.name, sentence)
        print(sentence, flush=True)

    log.write(EventKind.STARTED)
    with recorded(log, stage.name), _in_words(stage.name):
        try:
            train_from_scratch(StageContext(directory, report, tell), group)
        except BioPruneError:
            raise
        except Exception as error:
            if not _has_failed(directory):
                raise
            # The connection to a process that has failed and said why.
            raise StageError(last_failure(directory)) from error
    log.write(EventKind.FINISHED)


@contextmanager
def _spoken_for(directory: Path, group: TrainingGroup) -> Iterator[None]:
    """Write down why a process that is not the first fails; that one only sees it gone, or is ended."""
    (stage,) = PLANS[JobKind.PRETRAIN]
    try:
        with _in_words(stage.name):
            yield
    except BioPruneError as error:
        time.sleep(_FIRST_SPEAKS_S)
        if not _has_failed(directory):
            message = f"The process of rank {group.rank} failed: {error.message}"
            EventLog(directory).write(EventKind.FAILED, stage.name, message)
        raise


@contextmanager
def _in_words(stage: str) -> Iterator[None]:
    """Make sentences of errors that nobody foresaw, and print where they came from."""
    try:
        yield
    except BioPruneError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise as_failure(error, stage) from error


def _has_failed(directory: Path) -> bool:
    """Whether a process of this training has written down that it failed."""
    states = [event.kind for event in recent_events(directory) if event.kind.is_state]
    return states[-1:] == [EventKind.FAILED]


def _print(progress: Progress) -> None:
    if progress.done % _EVERY == 0 or progress.done == progress.total:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in progress.metrics.items())
        print(f"step {progress.done:,} of {progress.total:,}: {shown}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
