"""The plan of an experiment: which networks are trained and measured, keyed by what determines the result."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.evaluation import FINE_TUNE_VERSION, PROBE_VERSION, Method
from bioprune_core.experiments.arms import RANDOM_MULTIPLE, Arm, ArmKind, draw_seed
from bioprune_core.experiments.configuration import ExperimentConfig
from bioprune_core.experiments.draws import Drawn, draw, summarise_draw
from bioprune_core.experiments.pool import Pool

__all__ = ["EvaluationCell", "Inputs", "Place", "Plan", "PretrainingCell", "plan_cells"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a network stands in the table. Several places can share one network.

    Args:
        arm: Name of the arm.
        size: B; 0 for arms that have none (full, untrained), which are compared at every size.
        seed: Of draw, weights, masks and heads.
    """

    arm: str
    size: int
    seed: int


@dataclass(frozen=True, slots=True)
class PretrainingCell:
    """One network to train.

    Args:
        key: SHA-256 of what determines it.
        places: Where its results belong; the first one's arm, size and seed draw its sequences.
        trained: Whether there is anything to train; the untrained network has none.
        drawn: Its sequences.
        tokens: Tokens that training goes through.
    """

    key: str
    places: tuple[Place, ...]
    trained: bool
    drawn: Drawn
    tokens: float


@dataclass(frozen=True, slots=True)
class EvaluationCell:
    """One network to measure on one task.

    Args:
        key: SHA-256 of what determines it.
        pretraining: Key of the network, which must be there first.
        task: Name of the task.
        protocol: How it is measured.
        seed: Of heads and batches.
    """

    key: str
    pretraining: str
    task: str
    protocol: Method
    seed: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """What stands behind the names of a configuration, as content hashes.

    Args:
        dataset: Of the pool.
        tasks: Of each task's examples and definition, by name.
        held_out: Of the sequences on which losses are measured, which belong to every network's results.
        alphabet: Of the pool.
    """

    dataset: str
    tasks: Mapping[str, str]
    held_out: str
    alphabet: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All cells, each once, in an order in which they can be computed.

    Args:
        pretrainings: Networks.
        evaluations: What is measured of them.
        notes: Sentences on what is not as asked for.
    """

    pretrainings: tuple[PretrainingCell, ...]
    evaluations: tuple[EvaluationCell, ...]
    notes: tuple[str, ...]

    def places(self) -> dict[Place, PretrainingCell]:
        """The network of every place of the table."""
        return {place: cell for cell in self.pretrainings for place in cell.places}

    def remaining(self, done: Collection[str]) -> "Plan":
        """The cells whose keys are not among those done."""
        return Plan(
            tuple(cell for cell in self.pretrainings if cell.key not in done),
            tuple(cell for cell in self.evaluations if cell.key not in done),
            self.notes,
        )


def plan_cells(config: ExperimentConfig, pool: Pool, inputs: Inputs) -> Plan:
    """Every cell of an experiment.

    A key is made from the content that determines a result and from nothing else: not from names of arms,
    other arms, other seeds or other tasks. So adding any of these leaves all other keys as they are, and
    equal draws of one seed share a network.

    Args:
        config: The experiment.
        pool: What is drawn from, with exclusions and the held-out sequences.
        inputs: Content hashes.

    Raises:
        InputError: An arm cannot be drawn, or a task has no content hash.
    """
    if missing := [task.name for task in config.tasks if task.name not in inputs.tasks]:
        raise InputError(f"There is no content hash of the task {', '.join(missing)}; read its data first.")
    cells: dict[str, PretrainingCell] = {}
    for arm in config.all_arms:
        for size in _sizes(arm, config):
            for cell in _arm_cells(arm, size, config, pool, inputs):
                known = cells.get(cell.key)
                places = (known.places if known else ()) + cell.places
                cells[cell.key] = PretrainingCell(cell.key, places, cell.trained, cell.drawn, cell.tokens)
    evaluations = {
        evaluation.key: evaluation
        for cell in cells.values()
        for evaluation in _evaluations(cell, config, inputs)
    }
    return Plan(tuple(cells.values()), tuple(evaluations.values()), _notes(config, pool))


def _sizes(arm: Arm, config: ExperimentConfig) -> tuple[int, ...]:
    if not arm.sized:
        return (0,)
    return arm.sizes or config.sizes


def _arm_cells(
    arm: Arm, size: int, config: ExperimentConfig, pool: Pool, inputs: Inputs
) -> list[PretrainingCell]:
    trained = arm.kind is not ArmKind.UNTRAINED
    cells = []
    drawn: Drawn | None = None
    for seed in config.seeds:
        if drawn is None or arm.is_random:
            drawn = summarise_draw(draw(arm, size, pool, draw_seed(config.draw_seed, seed)), pool)
        settings = config.pretraining.to_json()
        content: dict[str, Any] = {"kind": "pretraining", "seed": seed, "held_out": inputs.held_out}
        if config.draw_seed:
            content["draw_seed"] = config.draw_seed  # of the masks of held-out losses
        if trained:
            content |= {"settings": settings, "dataset": inputs.dataset, "draw": drawn.digest}
        else:
            # Initial weights depend on neither data nor schedule; their losses on how these are measured.
            training = config.pretraining.training_config(seed)
            content |= {name: settings[name] for name in ("architecture", "scale")}
            content |= {"mask_rate": training.mask_rate, "precision": training.precision.value}
            content["alphabet"] = inputs.alphabet
        tokens = config.pretraining.tokens(drawn.tokens) if trained else 0.0
        place = Place(arm.name, size, seed)
        cells.append(PretrainingCell(_digest(content), (place,), trained, drawn, tokens))
    return cells


def _evaluations(cell: PretrainingCell, config: ExperimentConfig, inputs: Inputs) -> list[EvaluationCell]:
    # All places of a cell have one seed: it is part of the key.
    seed = cell.places[0].seed
    found = []
    for task in config.tasks:
        for protocol in config.protocols:
            content = {
                "kind": "evaluation",
                "pretraining": cell.key,
                "task": inputs.tasks[task.name],
                "limit": task.limit,
                "protocol": protocol.value,
                "settings": config.protocol_settings.get(protocol.value, {}),
                "seed": seed,
            }
            content["version"] = PROBE_VERSION if protocol is Method.PROBE else FINE_TUNE_VERSION
            found.append(EvaluationCell(_digest(content), cell.key, task.name, protocol, seed))
    return found


def _notes(config: ExperimentConfig, pool: Pool) -> tuple[str, ...]:
    lost = tuple(
        f'{missing:,} of the {len(members):,} sequences of the saved coreset "{name}" are held out or '
        "excluded; it takes part without them."
        for name, members in pool.saved.items()
        if (missing := len(members) - len(np.intersect1d(members, pool.eligible)))
    )
    available = len(pool.eligible)
    tenfold = next(arm for arm in config.all_arms if arm.kind is ArmKind.RANDOM_TENFOLD)
    return lost + tuple(
        f"Ten times {size:,} are more than the {available:,} sequences that may be drawn, so all of these "
        f"stand in for random 10 B at B = {size:,}."
        for size in _sizes(tenfold, config)
        if RANDOM_MULTIPLE * size > available
    )


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha256(text.encode()).hexdigest()
