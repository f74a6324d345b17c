"""Training of one model by several processes, a GPU each, started by torchrun.

    torchrun --nproc-per-node 4 -m bioprune_core.jobs.distributed WORKSPACE/models/MODEL

The folder is that of a model which `bioprune pretrain --plan` made. Started again after an interruption, with
any number of processes, the training goes on from its last checkpoint.
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from bioprune_core.errors import BioPruneError, InputError
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.environment import resolve_device
from bioprune_core.jobs.pretrain_stages import train_from_scratch
from bioprune_core.progress import Progress
from bioprune_core.storage import read_json
from bioprune_core.training.group import joined_group, local_device
from bioprune_core.workspace.configuration import CONFIG_FILE, ModelConfig
from bioprune_core.workspace.locks import JOB_LOCK, hold

__all__ = ["main"]

_EVERY = 10
"""Steps between two lines of progress."""


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
    with joined_group(local_device(resolve_device(config.device))) as group:
        # The others are watched by torchrun, which ends them when the first cannot have the lock.
        own = hold(directory / JOB_LOCK, f"model {directory.name}") if group.leads else nullcontext()
        with own:
            train_from_scratch(StageContext(directory, _print if group.leads else _say_nothing), group)


def _print(progress: Progress) -> None:
    if progress.done % _EVERY == 0 or progress.done == progress.total:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in progress.metrics.items())
        print(f"step {progress.done:,} of {progress.total:,}: {shown}", flush=True)


def _say_nothing(_progress: Progress) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
