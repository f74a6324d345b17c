"""Carrying out an experiment: every cell that has no result yet, one after the other.

Several processes, also on several machines that share the workspace, can carry out one experiment: each
claims a cell by its lock. A process that dies loses its claims with it, and whoever comes next goes on from
the cell's last checkpoint. So there is no queue to lose, and a new seed or arm computes only what is new.
"""

import logging
import math
import time
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from bioprune_core.errors import BioPruneError, ConflictError, StageError
from bioprune_core.experiments import EvaluationCell, PretrainingCell
from bioprune_core.heap import trim_heap
from bioprune_core.jobs.environment import resolve_device
from bioprune_core.laboratory.computing import compute_evaluation, compute_pretraining
from bioprune_core.laboratory.preparation import Prepared
from bioprune_core.laboratory.store import CellStore
from bioprune_core.progress import Progress, Reporter, discard

__all__ = ["Outcome", "run_experiment"]

_LOG = logging.getLogger(__name__)
_STAGE = "cells"
_POLL_S = 1.0
_MOST_ENDS = 3
"""Processes that may end in the middle of a cell before it fails: as often as a stage is started again."""

Cell = PretrainingCell | EvaluationCell


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process did for an experiment.

    Args:
        computed: Cells that it computed.
        failed: Cells that failed here.
        cells: Of the whole experiment.
    """

    computed: int
    failed: int
    cells: int


def run_experiment(
    store: CellStore,
    prepared: Prepared,
    device: str = "auto",
    report: Reporter = discard,
    *,
    retry: bool = False,
) -> Outcome:
    """Compute what is missing; return when every cell has a result or has failed.

    Cells that another process computes are waited for. A failed cell stops no other; the evaluations of a
    network that failed are left out.

    Args:
        store: Where results are kept.
        prepared: The experiment.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        report: Told of the cells done so far, and of progress inside each.
        retry: Whether cells that failed before are tried again.
    """
    return _Runner(store, prepared, resolve_device(device), report).run(retry)


class _Runner:
    def __init__(self, store: CellStore, prepared: Prepared, device: torch.device, report: Reporter) -> None:
        self._store, self._prepared, self._device, self._report = store, prepared, device, report
        self._computed = self._failed = 0

    def run(self, retry: bool) -> Outcome:
        """All cells; return when none is left to anybody."""
        cells = self._in_order()
        if retry:
            for cell in cells:
                self._store.forgive(cell.key)
        waiting = cells
        while waiting:
            busy = []
            for place, cell in enumerate(waiting):
                if not self._settle(cell):
                    busy.append(cell)
                self._tell(len(cells) - len(busy) - len(waiting) + place + 1, len(cells))
            if len(busy) == len(waiting):
                time.sleep(_POLL_S)
            waiting = busy
        return Outcome(self._computed, self._failed, len(cells))

    def _in_order(self) -> list[Cell]:
        """Seed by seed, so that what is there so far compares all arms; each network's evaluations behind it.

        Untrained networks come first: their evaluations tell what those of all others will take.
        """
        plan = self._prepared.plan
        networks = sorted(plan.pretrainings, key=lambda each: (each.trained, each.places[0].seed))
        cells: list[Cell] = []
        for network in networks:
            cells.append(network)
            cells += [each for each in plan.evaluations if each.pretraining == network.key]
        return cells

    def _settle(self, cell: Cell) -> bool:
        """Whether the cell needs nothing more; False where another process is at it or before it."""
        if self._store.is_done(cell.key) or self._store.is_failed(cell.key):
            return True
        if isinstance(cell, EvaluationCell) and not self._store.is_done(cell.pretraining):
            return self._store.is_failed(cell.pretraining)
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(self._store.claimed(cell.key))
            except ConflictError:
                return False
            if not self._store.is_done(cell.key):
                with self._store.begun(cell.key) as ended:
                    self._compute(cell, folder, ended)
        return True

    def _compute(self, cell: Cell, folder: Path, ended: int) -> None:
        if ended >= _MOST_ENDS:
            self._fail(
                cell,
                f"Something ended {ended} processes while they computed it. Most often the machine ran out "
                "of memory: choose a smaller token budget or scale, or stop other programs, and try again.",
            )
            return
        try:
            if isinstance(cell, PretrainingCell):
                metrics, evidence = compute_pretraining(
                    self._prepared, cell, folder, self._device, self._report
                )
            else:
                network = self._store.folder(cell.pretraining)
                metrics, evidence = compute_evaluation(
                    self._prepared, cell, network, self._device, self._report
                )
            _refuse_not_finite(metrics)
            self._store.finish(cell.key, metrics, evidence)
        except ConflictError:
            # Of an older version, with settings of its own: nobody could give it these.
            self._store.clear(cell.key)
            self._fail(cell, "It was begun under other settings. What was there is removed; try it again.")
        except BioPruneError as error:
            self._fail(cell, error.message)
        except torch.AcceleratorError as error:
            self._fail(cell, f"The device failed ({str(error).splitlines()[0]}).")
            raise  # it answers nobody in this process any more
        except Exception as error:  # noqa: BLE001 - whatever it is, the other cells go on
            _LOG.exception("Cell %s failed.", cell.key)
            said = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
            self._fail(cell, f"It ended unexpectedly ({said}); the log has the details.")
        else:
            self._computed += 1
        finally:
            # Every cell has batches of other shapes, whose freed blocks fit no other's.
            trim_heap()

    def _fail(self, cell: Cell, reason: str) -> None:
        self._store.fail(cell.key, reason)
        self._failed += 1

    def _tell(self, done: int, cells: int) -> None:
        self._report(Progress(_STAGE, done, cells, "cells", {"failed": float(self._failed)}))


def _refuse_not_finite(metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise StageError(
                f"The {name} is {value}, not a finite number. A network that diverged in its last step gives "
                "that: choose a smaller learning rate."
            )
