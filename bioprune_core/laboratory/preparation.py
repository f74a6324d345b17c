"""From the names in an experiment's configuration to arrays, tasks and a plan. Imports no torch."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import ConflictError
from bioprune_core.experiments import (
    ExperimentConfig,
    HeldOut,
    Inputs,
    Plan,
    hold_out,
    plan_cells,
    refuse_what_cannot_be_drawn,
)
from bioprune_core.experiments import Pool as Arrays
from bioprune_core.experiments.pool import UNGROUPED, length_groups
from bioprune_core.hashing import sequence_hash
from bioprune_core.laboratory.comparisons import Comparisons
from bioprune_core.laboratory.measured_tasks import compare_parts, read_tasks, tested_sequences
from bioprune_core.models.architectures import maximum_residues
from bioprune_core.sequences import IngestOptions, Pool
from bioprune_core.sequences.near_identity import NEAR
from bioprune_core.tasks import TaskData, content_hash, limit_training
from bioprune_core.workspace import (
    Dataset,
    DatasetConfig,
    Experiment,
    ExperimentPlan,
    Project,
    Run,
    Workspace,
    open_views,
)
from bioprune_core.workspace.coresets import MEMBERS_FILE

__all__ = ["Prepared", "prepare"]

# Larger pools are compared only when asked: of a million RNAs clusters take two minutes of processor time.
_COMPARED = 10_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An experiment, ready to be carried out.

    Args:
        config: What was asked for.
        sequences: The pool's sequences.
        arrays: The pool as arms see it.
        held_out: What losses are measured on.
        families: Code of the family of each sequence of the pool, int64, shape (N,); `UNGROUPED` for none.
        tasks: Data of each task by name, with all training examples but leaks that are left out.
        plan: All cells.
        notes: Sentences on what was excluded, read, drawn and guessed of tasks, and seen of the tests before.
    """

    config: ExperimentConfig
    sequences: Pool
    arrays: Arrays
    held_out: HeldOut
    families: NDArray[np.int64]
    tasks: Mapping[str, TaskData]
    plan: Plan
    notes: tuple[str, ...]


def prepare(
    workspace: Workspace, config: ExperimentConfig, base: Path, record: Experiment | None = None
) -> Prepared:
    """Read everything that an experiment needs, and plan its cells.

    Args:
        workspace: Where its project is.
        config: The experiment.
        base: Folder that paths of tasks are relative to: that of the configuration.
        record: The experiment as the workspace knows it: its dataset, run and saved coresets may have got
            other names since. None to go by the names of the configuration.

    Raises:
        NotFoundError: There is no such project, dataset, run or coreset.
        ConflictError: The run is of another dataset.
        InputError: A task's data are faulty, or an arm cannot be drawn; said before anything long begins.
    """
    project = workspace.project(config.project if record is None else record.project_id)
    dataset = workspace.dataset(config.dataset if record is None else record.dataset_id, project)
    run = None
    if config.run is not None:
        run = workspace.run(config.run if record is None or record.run_id is None else record.run_id, project)
    sequences = Pool.open(workspace.directory(dataset))
    tasks, guesses = read_tasks(config.tasks, base, sequences.alphabet)
    hashes = np.concatenate(list(sequences.hashes()))
    groups, names = _groups(workspace.directory(dataset))
    longest = maximum_residues(config.pretraining.architecture)
    trained = np.minimum(sequences.lengths().astype(np.int64), longest) + 2  # with cls and eos
    groups["length"] = length_groups(trained)
    influence, lengths = (None, trained) if run is None else _scores(workspace, run, dataset, trained)
    families = groups.get("label", np.full(len(hashes), UNGROUPED))
    saved = _saved(workspace, config, project, dataset, record)
    tests = tested_sequences(tasks, sequences.alphabet, _ingest_options(workspace, dataset))
    tested = np.isin(hashes, np.array([sequence_hash(text.encode()) for text in tests], dtype=np.uint64))
    excluded, notes = _excluded(config, tested, influence)
    notes += guesses

    def arrays_of(
        excluded: NDArray[np.bool_], near_tests: NDArray[np.bool_] | None = None
    ) -> tuple[Arrays, HeldOut]:
        labels = None if "label" not in groups else (families, names)
        held_out = hold_out(
            hashes, excluded, config.held_out_share, config.held_out_families, labels, config.draw_seed
        )
        found = Arrays(
            hashes, lengths, influence, groups, saved, excluded, held_out.mask, near_tests, trained
        )
        return found, held_out

    # What follows takes minutes on large pools.
    refuse_what_cannot_be_drawn(config, arrays_of(excluded)[0])
    comparisons = Comparisons.of(workspace, sequences)
    near_from = NEAR if config.near_identity is None else config.near_identity
    tasks, leaks = compare_parts(tasks, comparisons, near_from, leave_out=config.leave_out_leaks)
    notes += leaks
    _refuse_limits(config, tasks)
    near, told = _near_tests(config, near_from, comparisons, tests, tested)
    notes += told
    if config.near_identity is not None and near is not None:
        excluded |= near
    asked = config.near_identity is not None or "cluster" in config.groupings
    if asked or len(sequences) <= _COMPARED:
        groups["cluster"] = comparisons.clusters()
    else:
        notes += (
            f"How many near-duplicates each arm has is not told: among {len(sequences):,} sequences it takes "
            'half an hour or more to look for them. Set `near_identity`, or name "cluster" in `mixtures`, '
            "to have it.",
        )
    arrays, held_out = arrays_of(excluded, near)
    arrays = arrays.with_codes(config.matched)
    inputs = Inputs(
        sequences.content_hash,
        {name: content_hash(data) for name, data in tasks.items()},
        _digest(hashes, held_out, families),
        sequences.alphabet.value,
    )
    plan = plan_cells(config, arrays, inputs)
    return Prepared(config, sequences, arrays, held_out, families, tasks, plan, notes)


def _refuse_limits(config: ExperimentConfig, tasks: Mapping[str, TaskData]) -> None:
    """Draw what each measurement will be trained on, so that what tells nothing is said before any begins."""
    for choice in config.tasks:
        for seed in config.seeds:
            limit_training(tasks[choice.name], choice.limit, seed)


def _ingest_options(workspace: Workspace, dataset: Dataset) -> IngestOptions:
    return IngestOptions.from_json(dict(DatasetConfig.from_json(workspace.config(dataset)).options))


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


def _scores(
    workspace: Workspace, run: Run, dataset: Dataset, trained: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Self-influence of every sequence, float64, and its tokens as the run counted them, int64, shape (N,).

    By these a selection from the run is stratified and adjusted, so an arm is drawn as a saved coreset is.
    Without a score influence is NaN, and tokens are those that training counts.
    """
    if run.dataset_id != dataset.id:
        raise ConflictError(
            f'The run "{run.name}" scored another dataset than "{dataset.name}". Name a run of this one.'
        )
    influence = np.full(len(trained), np.nan)
    lengths = trained.copy()
    with open_views(workspace, run) as connection:
        found = connection.execute("SELECT position, influence, tokens FROM scores").fetchnumpy()
    influence[found["position"]] = found["influence"]
    lengths[found["position"]] = found["tokens"]
    return influence, lengths


def _saved(
    workspace: Workspace,
    config: ExperimentConfig,
    project: Project,
    dataset: Dataset,
    record: Experiment | None,
) -> dict[str, NDArray[np.int64]]:
    """Positions of the saved coresets that arms name, by these names, whatever they are called now."""
    known = {} if record is None else ExperimentPlan.from_json(workspace.config(record)).coresets
    found = {}
    named = {arm.coreset for arm in config.drawn_arms if arm.coreset}
    for name in sorted(named):
        coreset = workspace.coreset(known.get(name, name), project)
        if workspace.run(coreset.run_id).dataset_id != dataset.id:
            raise ConflictError(f'The coreset "{name}" is of another dataset than "{dataset.name}".')
        path = workspace.directory(coreset) / MEMBERS_FILE
        found[name] = np.sort(pq.read_table(path, columns=["position"])["position"].to_numpy())
    return found


def _excluded(
    config: ExperimentConfig, tested: NDArray[np.bool_], influence: NDArray[np.float64] | None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which sequences of the pool are test sequences or have no score."""
    what = "excluded" if config.exclude_tests else "not excluded"
    notes = [f"{int(tested.sum()):,} of {len(tested):,} sequences of the pool are test sequences and {what}."]
    excluded = tested.copy() if config.exclude_tests else np.zeros_like(tested)
    if influence is not None and (unscored := ~np.isfinite(influence)).any():
        excluded |= unscored
        notes.append(f"{int(unscored.sum()):,} sequences without a score are excluded.")
    return excluded, tuple(notes)


def _near_tests(
    config: ExperimentConfig,
    near_from: float,
    comparisons: Comparisons,
    tests: Sequence[str],
    tested: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """Which sequences of the pool are identical or near-identical to a test; None where not looked for."""
    if config.near_identity is None and len(tested) > _COMPARED:
        note = (
            f"How many are near-identical to a test sequence is not told: among {len(tested):,} sequences it "
            "takes long to look for them. Set `near_identity` to have them counted and excluded."
        )
        return None, (note,)
    near = comparisons.near_tests(tests, near_from)
    count = int((near & ~tested).sum())
    what = "excluded."
    if config.near_identity is None:
        what = "not excluded." + (" The setting `near_identity` excludes them." if count else "")
    note = (
        f"{count:,} more are near-identical to a test sequence (Jaccard index of k-mers from {near_from:g}) "
        f"and {what}"
    )
    return near | tested, (note,)


def _digest(hashes: NDArray[np.uint64], held_out: HeldOut, families: NDArray[np.int64]) -> str:
    """Of what losses are measured on: the random sequences, and each family's, whatever it is called."""
    digest = hashlib.sha256(np.sort(hashes[held_out.sequences]).tobytes())
    codes = np.where(held_out.families, families, UNGROUPED)
    members = [np.sort(hashes[codes == code]) for code in np.setdiff1d(codes, [UNGROUPED])]
    # Without families as before families were told apart, so that what was computed then still counts.
    for part in sorted(hashlib.sha256(each.tobytes()).digest() for each in members) or [b"||"]:
        digest.update(part)
    return digest.hexdigest()
