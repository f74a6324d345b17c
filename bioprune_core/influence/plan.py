"""What is decided about both passes of a run on the device, once, before the first of them.

The last bits of scores depend on number format, batch shapes and whether head inputs were kept. So these are
written down with the Fisher and stand for every later attempt, and for every worker that joins.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import StageError, StorageError
from bioprune_core.influence.backoff import Backoff, is_out_of_memory
from bioprune_core.influence.configuration import (
    DEFAULT_TOKEN_BUDGET,
    InfluenceConfig,
    Objective,
    ParameterSet,
    Precision,
    TooLong,
    is_worth_keeping,
)
from bioprune_core.influence.damping import fisher_scale
from bioprune_core.influence.gradient_engine import gradient_engine, resolved_precision
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.score import score_block
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.head import LanguageModelHead
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import read_json, write_json

__all__ = [
    "PassPlan",
    "fitting_budget",
    "input_bytes_a_token",
    "make_plan",
    "read_plan",
    "settled",
    "settled_on_device",
]

_FILE = "plan.json"
_SMALLEST_BUDGET = 256
_FIRST_BUDGET = 8192
_LARGEST_BUDGET = 1 << 20
_TRIAL_LENGTH = 512
# Twice the memory has to be worth it.
_WORTHWHILE = 1.02
# Of the free disk, that kept head inputs may take.
_MOST_OF_DISK = 0.25
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class PassPlan:
    """Both passes of a run, with nothing left open.

    Args:
        config: Its precision and token budget are definite.
        head_inputs: Whether the Fisher pass keeps the head's inputs for the score pass.
        head_input_bytes: What they take on disk until the run is done; 0 where not kept.
        device: Type of the device that it was made for, "cpu" or "cuda"; None in plans from before it was
            written down.
    """

    config: InfluenceConfig
    head_inputs: bool = False
    head_input_bytes: int = 0
    device: str | None = None

    @property
    def kept(self) -> torch.dtype | None:
        """Number format of kept head inputs; None where none are kept."""
        return _kept(self.config) if self.head_inputs else None

    def suits(self, device: torch.device) -> bool:
        """Whether a device is of the type that the plan was made for, as far as is known."""
        return self.device in (None, device.type)

    def most_tokens(self, device: torch.device) -> int | None:
        """Most tokens of a forward pass on a device, None for as many as planned.

        A processor that takes a run over has not the memory for what a GPU took at once. Its batches are the
        parts of those planned, so that what was finished on the GPU stays.
        """
        return DEFAULT_TOKEN_BUDGET if device.type == "cpu" and not self.suits(device) else None

    def to_json(self) -> dict[str, Any]:
        """What was decided, as JSON values."""
        return {
            "precision": self.config.precision.value,
            "token_budget": self.config.batch_tokens,
            "head_inputs": self.head_inputs,
            "head_input_bytes": self.head_input_bytes,
            "device": self.device,
        }


def settled(
    config: InfluenceConfig, model: MaskedLanguageModel, token_budget: int | None = None
) -> InfluenceConfig:
    """A configuration with a definite precision and token budget.

    Args:
        config: As the user gave it.
        model: On the device that will compute.
        token_budget: Where the configuration leaves it open; None for what suits a processor.
    """
    return replace(
        config,
        precision=resolved_precision(config, model),
        token_budget=config.token_budget or token_budget or config.batch_tokens,
    )


def settled_on_device(config: InfluenceConfig, model: MaskedLanguageModel) -> InfluenceConfig:
    """As `settled`, with the token budget that suits the device: on a GPU it is found by trial.

    Raises:
        StageError: The device has no memory for the smallest batch.
    """
    definite = settled(config, model)
    if config.token_budget is None and _is_tried(model.device):
        definite = replace(definite, token_budget=fitting_budget(_trial(model, definite)))
        # What the largest batch of the trial took is not the pass's to keep from others on the device.
        torch.cuda.empty_cache()
    return definite


def make_plan(
    model: MaskedLanguageModel,
    pool: SequencePool,
    subset_positions: NDArray[np.int64],
    config: InfluenceConfig,
    directory: Path,
    keep_inputs: bool = False,
) -> PassPlan:
    """The plan in a directory of a Fisher, or a new one that is written there.

    Args:
        model: The adapted model.
        pool: N sequences.
        subset_positions: int64, shape (M,).
        config: As the user gave it.
        directory: Of this run's Fisher alone.
        keep_inputs: Whether the head's inputs may be kept, where they are worth it.

    Raises:
        StageError: The device has no memory for the smallest batch.
        StorageError: The disk is full or not writable.
    """
    found = read_plan(directory, config)
    if found is not None:
        return found
    definite = settled_on_device(config, model)
    plan = PassPlan(definite, device=model.device.type)
    if keep_inputs and is_worth_keeping(len(subset_positions), len(pool)):
        size = _tokens(model, pool, subset_positions) * input_bytes_a_token(model, definite)
        directory.mkdir(parents=True, exist_ok=True)
        if 0 < size <= _MOST_OF_DISK * shutil.disk_usage(directory).free:
            plan = replace(plan, head_inputs=True, head_input_bytes=size)
    write_json(directory / _FILE, plan.to_json())
    return plan


def read_plan(directory: Path, config: InfluenceConfig) -> PassPlan | None:
    """The plan that a Fisher pass has written; None where it has not begun.

    Raises:
        StorageError: It is damaged.
    """
    path = directory / _FILE
    if not path.exists():
        return None
    values = read_json(path)
    try:
        definite = replace(
            config, precision=Precision(values["precision"]), token_budget=int(values["token_budget"])
        )
        kept, size = bool(values["head_inputs"]), int(values["head_input_bytes"])
        return PassPlan(definite, kept, size, values.get("device"))
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{path} is damaged. Remove it and run the Fisher stage again.", detail=str(error)
        ) from error


def input_bytes_a_token(model: MaskedLanguageModel, config: InfluenceConfig) -> int:
    """What kept head inputs take on disk for every token; 0 where a configuration cannot use them.

    On a GPU in bf16 they would be no gain: at the 1.5 GB/s of a copy from an H200 those of a token of RNA-FM
    take 0.85 us, and computing them again took 0.54 us; in float32 6.6.

    Args:
        model: The model.
        config: With a definite precision.
    """
    usable = (
        not (model.device.type == "cuda" and config.precision is Precision.BF16)
        and config.parameters is ParameterSet.HEAD
        and isinstance(model.head, LanguageModelHead)
        and config.objective is Objective.UNMASKED
        and config.too_long is not TooLong.WINDOW
    )
    return gradient_engine(model, config).shape[1] * _kept(config).itemsize if usable else 0


def fitting_budget(trial: Callable[[int], float | None]) -> int:
    """The token budget beyond which a device is no quicker, or has no memory.

    Args:
        trial: Tokens per second at a budget; None where it does not fit.

    Raises:
        StageError: Not even the smallest fits.
    """
    budget = _FIRST_BUDGET
    rate = trial(budget)
    while rate is None:
        budget //= 2
        if budget < _SMALLEST_BUDGET:
            raise StageError(
                f"The device has no memory for a batch of {_SMALLEST_BUDGET} tokens. Choose a smaller model, "
                "or a device with more memory or with less other work on it."
            )
        rate = trial(budget)
    while budget < _LARGEST_BUDGET:
        larger = trial(2 * budget)
        if larger is None or larger < _WORTHWHILE * rate:
            break
        budget, rate = 2 * budget, larger
    return budget


def _is_tried(device: torch.device) -> bool:
    return device.type == "cuda"


def _trial(model: MaskedLanguageModel, config: InfluenceConfig) -> Callable[[int], float | None]:
    """Scores one batch of random sequences; the second time counts, the first one warms up."""
    length = min(_TRIAL_LENGTH, model.maximum_residues)
    letters = np.array(list(model.alphabet.residues))
    # Made once, as in a pass: with its digest it takes longer than a batch of many parameters.
    scale = fisher_scale(np.ones(gradient_engine(model, config).shape), config.damping)

    def rate(budget: int) -> float | None:
        rows = max(1, budget // (length + 2))
        drawn = np.random.default_rng(0).choice(letters, size=(rows, length))
        block = SequenceBlock.from_strings(["".join(row) for row in drawn])
        for _ in range(2):
            backoff = Backoff()
            started = time.perf_counter()
            try:
                # What is not finite is not for want of memory; the pass itself names it.
                tried = replace(config, token_budget=budget)
                score_block(model, block, scale, tried, leave_out=True, backoff=backoff)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                return None
            except StageError:
                return None  # not even one of the sequences
            if backoff.times:
                return None
        return rows * (length + 2) / (time.perf_counter() - started)

    return rate


def _kept(config: InfluenceConfig) -> torch.dtype:
    return torch.bfloat16 if config.precision is Precision.BF16 else torch.float32


def _tokens(model: MaskedLanguageModel, pool: SequencePool, positions: NDArray[np.int64]) -> int:
    """Tokens of the subset, cls and eos included."""
    total = 0
    for start in range(0, len(positions), _BLOCK):
        lengths = pool.take(positions[start : start + _BLOCK]).lengths
        total += int((np.minimum(lengths, model.maximum_residues) + 2).sum())
    return total
