"""From the names in an experiment's configuration to arrays, tasks and a plan. Imports no torch."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import ConflictError, InputError
from bioprune_core.experiments import ExperimentConfig, HeldOut, Inputs, Plan, hold_out, plan_cells
from bioprune_core.experiments import Pool as Arrays
from bioprune_core.experiments.pool import UNGROUPED
from bioprune_core.hashing import sequence_hash
from bioprune_core.sequences import Pool
from bioprune_core.sequences.near_identity import near_duplicate_clusters, near_identical
from bioprune_core.tasks import Part, TaskData, content_hash, read_own_task, read_task
from bioprune_core.workspace import Workspace, open_views
from bioprune_core.workspace.coresets import MEMBERS_FILE

__all__ = ["Prepared", "prepare"]

_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An experiment, ready to be carried out.

    Args:
        config: What was asked for.
        sequences: The pool's sequences.
        arrays: The pool as arms see it.
        held_out: What losses are measured on.
        families: Code of the family of each sequence of the pool, int64, shape (N,); `UNGROUPED` for none.
        tasks: Data of each task by name, all training examples included.
        plan: All cells.
        notes: Sentences on what was excluded.
    """

    config: ExperimentConfig
    sequences: Pool
    arrays: Arrays
    held_out: HeldOut
    families: NDArray[np.int64]
    tasks: Mapping[str, TaskData]
    plan: Plan
    notes: tuple[str, ...]


def prepare(workspace: Workspace, config: ExperimentConfig, base: Path) -> Prepared:
    """Read everything that an experiment needs, and plan its cells.

    Args:
        workspace: Where its project is.
        config: The experiment.
        base: Folder that paths of tasks are relative to: that of the configuration.

    Raises:
        NotFoundError: There is no such project, dataset, run or coreset.
        ConflictError: The run is of another dataset.
        InputError: A task's data are faulty, or an arm cannot be drawn.
    """
    project = workspace.project(config.project)
    dataset = workspace.dataset(config.dataset, project)
    sequences = Pool.open(workspace.directory(dataset))
    tasks = {
        choice.name: _task_data(choice.name, base / Path(choice.folder).expanduser(), sequences)
        for choice in config.tasks
    }
    hashes = np.concatenate(list(sequences.hashes()))
    groups, names = _groups(workspace.directory(dataset))
    influence = None if config.run is None else _influence(workspace, config, dataset.id, len(sequences))
    texts = _texts(sequences) if config.near_identity is not None or "cluster" in config.mixtures else []
    excluded, notes = _excluded(config, tasks, hashes, texts, sequences)
    if influence is not None:
        unscored = ~np.isfinite(influence)
        excluded |= unscored
        notes += (
            (f"{int(unscored.sum()):,} sequences without a score are excluded.",) if unscored.any() else ()
        )
    if texts:
        groups["cluster"] = near_duplicate_clusters(texts, sequences.alphabet)
    labels = None if "label" not in groups else (groups["label"], names)
    held_out = hold_out(
        hashes, excluded, config.held_out_share, config.held_out_families, labels, config.draw_seed
    )
    arrays = Arrays(
        hashes,
        sequences.lengths().astype(np.int64) + 2,  # with cls and eos
        influence,
        groups,
        _saved(workspace, config, dataset.id),
        excluded,
        held_out.mask,
    )
    inputs = Inputs(
        sequences.content_hash,
        {name: content_hash(data) for name, data in tasks.items()},
        _digest(hashes, held_out),
    )
    families = groups.get("label", np.full(len(hashes), UNGROUPED))
    plan = plan_cells(config, arrays, inputs)
    return Prepared(config, sequences, arrays, held_out, families, tasks, plan, notes)


def _task_data(name: str, place: Path, sequences: Pool) -> TaskData:
    """A known task in a folder, or one's own in a table."""
    data = (
        read_own_task(place, sequences.alphabet, name=name).data
        if place.is_file()
        else read_task(name, place)
    )
    if data.task.alphabet is not sequences.alphabet:
        raise InputError(
            f"The task {name} has {data.task.alphabet.value}, the dataset {sequences.alphabet.value}. "
            "Leave it out, or choose another dataset."
        )
    return data


def _groups(dataset: Path) -> tuple[dict[str, NDArray[np.int64]], Sequence[str]]:
    """Codes of sources and, where there are any, of labels; and the names of the labels."""
    table = pq.read_table(dataset / "sequences", columns=["position", "source", "label"]).sort_by("position")
    groups = {}
    names: Sequence[str] = ()
    for column in ("source", "label"):
        coded = table[column].combine_chunks().dictionary_encode()
        codes = coded.indices.fill_null(UNGROUPED).to_numpy().astype(np.int64)
        known = coded.dictionary.to_pylist()
        empty = [code for code, name in enumerate(known) if not name]
        codes[np.isin(codes, empty)] = UNGROUPED
        if (codes != UNGROUPED).any():
            groups[column] = codes
            names = known if column == "label" else names
    return groups, names


def _influence(
    workspace: Workspace, config: ExperimentConfig, dataset_id: str, count: int
) -> NDArray[np.float64]:
    """Self-influence of every sequence, float64, shape (N,); NaN without a score."""
    assert config.run is not None
    run = workspace.run(config.run, config.project)
    if run.dataset_id != dataset_id:
        raise ConflictError(
            f'The run "{config.run}" scored another dataset than "{config.dataset}". Name a run of this one.'
        )
    influence = np.full(count, np.nan)
    with open_views(workspace, run) as connection:
        found = connection.execute("SELECT position, influence FROM scores").fetchnumpy()
    influence[found["position"]] = found["influence"]
    return influence


def _saved(workspace: Workspace, config: ExperimentConfig, dataset_id: str) -> dict[str, NDArray[np.int64]]:
    """Positions of the saved coresets that arms name."""
    found = {}
    for arm in config.arms:
        if arm.coreset:
            record = workspace.coreset(arm.coreset, config.project)
            if workspace.run(record.run_id).dataset_id != dataset_id:
                raise ConflictError(
                    f'The coreset "{arm.coreset}" is of another dataset than "{config.dataset}".'
                )
            path = workspace.directory(record) / MEMBERS_FILE
            found[arm.coreset] = np.sort(pq.read_table(path, columns=["position"])["position"].to_numpy())
    return found


def _excluded(
    config: ExperimentConfig,
    tasks: Mapping[str, TaskData],
    hashes: NDArray[np.uint64],
    texts: Sequence[str],
    sequences: Pool,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which sequences of the pool are in, or near, a test set."""
    excluded = np.zeros(len(hashes), dtype=bool)
    if not config.exclude_tests:
        return excluded, ("Test sequences were not excluded from the pool.",)
    tests = sorted({text for data in tasks.values() for text in _tested(data)})
    tested = np.array([sequence_hash(text.encode()) for text in tests], dtype=np.uint64)
    excluded |= np.isin(hashes, tested)
    identical = int(excluded.sum())
    notes = [f"{identical:,} of {len(hashes):,} sequences of the pool are test sequences and excluded."]
    if config.near_identity is not None:
        excluded |= near_identical(texts, tests, sequences.alphabet, config.near_identity)
        notes.append(
            f"{int(excluded.sum()) - identical:,} more are near-identical to one (Jaccard index of k-mers "
            f"from {config.near_identity:g}) and excluded."
        )
    return excluded, tuple(notes)


def _tested(data: TaskData) -> list[str]:
    examples = data.parts[Part.TEST]
    return [*examples.sequences, *(examples.partners or ())]


def _texts(sequences: Pool) -> list[str]:
    found: list[str] = []
    for start in range(0, len(sequences), _AT_ONCE):
        block = sequences.read(start, min(start + _AT_ONCE, len(sequences)))
        found += [block.sequence(row) for row in range(len(block))]
    return found


def _digest(hashes: NDArray[np.uint64], held_out: HeldOut) -> str:
    digest = hashlib.sha256()
    for mask in (held_out.sequences, held_out.families):
        digest.update(np.sort(hashes[mask]).tobytes() + b"|")
    return digest.hexdigest()
