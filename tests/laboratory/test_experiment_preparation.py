"""What is left out of tasks and pools, and told early."""

import hashlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from leaky_trial import SEQUENCES, configured, leaky_workspace, own, prepared
from workspace_samples import finish_run

from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.jobs import JobKind, run_in_foreground
from bioprune_core.laboratory import preparation, prepare, was_fine_tuned
from bioprune_core.laboratory.plan_file import planned
from bioprune_core.models.architectures import maximum_residues
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import read_json, write_json
from bioprune_core.tasks import Part
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.configuration import CONFIG_FILE


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    yield from leaky_workspace(tmp_path)


def test_a_limit_that_leaves_nothing_to_learn_for_a_seed_is_refused_at_once(workspace: Workspace) -> None:
    splits = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    rows = [
        f"{rna},{'ab'[n % 2]},{split}" for n, (rna, split) in enumerate(zip(SEQUENCES, splits, strict=False))
    ]
    path = workspace.root.parent / "named.csv"
    path.write_text("\n".join(["sequence,label,split", *rows]) + "\n")
    task = {"name": "named", "folder": path.name}
    assert prepared(workspace, tasks=[{**task, "limit": 10}], seeds=[0, 1, 2]).plan
    with pytest.raises(InputError, match=r"Task named: all 2 training examples.* the limit 2 and seed [0-9]"):
        prepared(workspace, tasks=[{**task, "limit": 2}], seeds=list(range(10)))


def test_leaks_are_left_out_and_counted_and_change_the_cells_of_their_task_alone(
    workspace: Workspace,
) -> None:
    plain, without = prepared(workspace), prepared(workspace, leave_out_leaks=True)
    assert len(plain.tasks["leaky"].parts[Part.TRAIN]) == 12
    assert len(without.tasks["leaky"].parts[Part.TRAIN]) == 10
    assert len(without.tasks["leaky"].parts[Part.TEST]) == 4
    assert any("Task leaky: 2 of 16 training and validation examples" in note for note in without.notes)
    assert any("Task clean: 0 of 16" in note for note in without.notes)
    told = [note for note in plain.notes if "training and validation examples" in note]
    assert told == [
        "Task clean: of 16 training and validation examples 0 are identical to a test example, and 0 more "
        "near-identical (Jaccard index of k-mers from 0.5).",
        "Task leaky: of 16 training and validation examples 0 are identical to a test example, and 2 more "
        "near-identical (Jaccard index of k-mers from 0.5). The setting leave_out_leaks leaves them out.",
    ]
    assert [cell.key for cell in without.plan.pretrainings] == [cell.key for cell in plain.plan.pretrainings]
    for name, same in (("clean", True), ("leaky", False)):
        keys = [
            {cell.key for cell in each.plan.evaluations if cell.task == name} for each in (plain, without)
        ]
        assert (keys[0] == keys[1]) is same
        assert same or not keys[0] & keys[1]


def test_what_was_guessed_of_an_own_table_is_told_and_can_be_set(workspace: Workspace) -> None:
    guessed = prepared(workspace, **own())
    (note,) = [note for note in guessed.notes if note.startswith("Task clean: The table")]
    for phrase in ('sequences from the column "sequence"', 'split from the column "split"', "regression, as"):
        assert phrase in note
    same = prepared(workspace, **own(kind="regression", columns={"sequence": "sequence", "label": "label"}))
    (note,) = [note for note in same.notes if note.startswith("Task clean: The table")]
    assert note.endswith(
        'Guessed: split from the column "split". Where this is wrong, set its kind or columns.'
    )
    # The same content has the same cells, however it came about.
    assert same.plan == guessed.plan
    other = prepared(workspace, **own(kind="classification"))
    assert other.tasks["clean"].task.metrics == ("accuracy", "macro_f1")
    assert not {cell.key for cell in other.plan.evaluations} & {cell.key for cell in same.plan.evaluations}


def test_what_was_left_out_and_drawn_of_a_known_task_is_told(workspace: Workspace) -> None:
    folder = workspace.root.parent / "sites"
    folder.mkdir()
    for part, rnas in (("train", SEQUENCES[:30]), ("test", SEQUENCES[28:40])):
        records = [f">s{n} class:{n % 2}\n{rna}\n" for n, rna in enumerate(rnas)]
        (folder / f"QKI.{part}.fa").write_text("".join(records) + ">n class:0\nNNNN\n")
    found = prepared(workspace, tasks=[{"name": "rbp", "folder": "sites"}])
    (note,) = [note for note in found.notes if note.startswith("Task rbp: Sites of QKI")]
    for told in (
        "2 windows of N alone were left out.",
        "The validation part was drawn from the training part, with seed 0.",
        "2 examples whose sequences are in the test part were left out of the others.",
    ):
        assert told in note


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (own(columns={"label": "energy"}), "clean.csv has no column with the label; looked for energy"),
        ({"tasks": [{"name": "rna-type", "folder": ".", "kind": "regression"}]}, "whose layout is known"),
        ({"tasks": [{"name": "rbp", "folder": ".", "columns": {"split": "set"}}]}, "name the table's file"),
        ({"tasks": [{"name": "mine", "folder": "mine.csv"}]}, "Task mine: there is no .*mine.csv"),
    ],
)
def test_a_task_that_is_not_there_or_not_so_is_refused(
    workspace: Workspace, task: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        prepared(workspace, **task)


def test_test_sequences_in_the_pool_are_counted_where_they_stay(workspace: Workspace) -> None:
    note = "4 of 60 sequences of the pool are test sequences and "
    assert prepared(workspace).notes[0] == f"{note}excluded."
    assert prepared(workspace, exclude_tests=False).notes[0] == f"{note}not excluded."


def test_an_experiment_stays_on_its_saved_coresets_when_they_are_renamed(workspace: Workspace) -> None:
    base = workspace.root.parent
    dataset = workspace.dataset("pool")
    run = workspace.create_run(workspace.plan_run(dataset, workspace.add_model("lab", "tiny", "tiny"), 20))
    finish_run(workspace, run, SEQUENCES)
    mine = workspace.create_coreset(run, "mine", SelectionConfig(prune_rate=Decimal(90)))
    arm = {"kind": "saved", "coreset": "mine", "sizes": [6]}
    asked = configured(arms=[arm], sizes=[6], exclude_tests=False, held_out_share=0.0)
    experiment = workspace.create_experiment("lab", asked.to_json(), base)
    before = prepare(workspace, asked, base, experiment)
    # As an experiment of an earlier version has it: by its name alone.
    path = workspace.directory(experiment) / CONFIG_FILE
    noted = read_json(path)
    assert noted["coresets"] == {"mine": mine.id}
    write_json(path, {name: value for name, value in noted.items() if name != "coresets"})
    assert prepare(workspace, asked, base, experiment).plan == before.plan
    with pytest.raises(ConflictError, match='needed by experiment "trial"'):
        workspace.delete(mine)
    write_json(path, noted)

    workspace.rename(mine, "by another name")
    other = workspace.create_coreset(run, "MINE", SelectionConfig(prune_rate=Decimal(80)))
    longer = configured(**asked.to_json() | {"seeds": [0, 1]})
    workspace.revise_experiment(experiment, longer.to_json(), base)
    after = prepare(workspace, longer, base, experiment)
    assert after.arrays.saved["mine"].tolist() == before.arrays.saved["mine"].tolist()
    assert {cell.key for cell in after.plan.pretrainings} > {cell.key for cell in before.plan.pretrainings}
    with pytest.raises(ConflictError, match='needed by experiment "trial"'):
        workspace.delete(mine)
    workspace.delete(other)
    with pytest.raises(NotFoundError, match="mine"):
        workspace.create_experiment("lab", asked.to_json() | {"name": "second"}, base)


def test_arms_see_the_lengths_that_the_run_counted_and_training_else(workspace: Workspace) -> None:
    run = workspace.create_run(
        workspace.plan_run(workspace.dataset("pool"), workspace.add_model("lab", "tiny", "tiny"), 20)
    )
    finish_run(workspace, run, SEQUENCES)
    part = next((workspace.directory(run) / "scores").glob("*.parquet"))
    table = pq.read_table(part)
    cut = pc.min_element_wise(table["tokens"], pa.scalar(14, pa.int32()))
    pq.write_table(table.set_column(table.schema.get_field_index("tokens"), "tokens", cut), part)
    arms = [{"kind": "top-influence"}]
    scored = prepared(workspace, run=run.name, arms=arms)
    assert scored.arrays.lengths.max() == 14
    # What training costs does not depend on the run, nor does the length that is told.
    as_trained = [min(len(rna), maximum_residues("rna-fm")) + 2 for rna in SEQUENCES]
    for each in (scored, prepared(workspace)):
        assert each.arrays.tokens.tolist() == as_trained
        full = next(place for place in planned(each).columns if place.arm == "random")
        assert planned(each).columns[full].mean_length > 14
    assert prepared(workspace).arrays.lengths.tolist() == as_trained


def test_random_held_out_sequences_alone_are_known_by_their_hashes(workspace: Workspace) -> None:
    """Without families the cells that were computed before families were told apart still count."""
    found = prepared(workspace, held_out_share=0.2)
    held_out = np.sort(found.arrays.hashes[found.held_out.sequences])
    before = hashlib.sha256(held_out.tobytes() + b"||").hexdigest()
    assert preparation._digest(found.arrays.hashes, found.held_out, found.families) == before


def test_networks_that_take_less_are_given_less(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "maximum_residues", lambda _: 12)
    assert prepared(workspace).arrays.lengths.max() == 14


def test_the_mixture_of_a_saved_coreset_can_be_drawn_without_the_coreset(workspace: Workspace) -> None:
    run = workspace.create_run(
        workspace.plan_run(workspace.dataset("pool"), workspace.add_model("lab", "tiny", "tiny"), 20)
    )
    finish_run(workspace, run, SEQUENCES)
    workspace.create_coreset(run, "mine", SelectionConfig(prune_rate=Decimal(90)))
    saved = {"kind": "saved", "coreset": "mine", "sizes": [6]}
    mixture = {"kind": "mixture-matched", "of": saved, "grouping": "source", "sizes": [6]}
    found = prepared(workspace, arms=[mixture], sizes=[6], exclude_tests=False, held_out_share=0.0)
    assert any(place.arm.endswith("mixture") for cell in found.plan.pretrainings for place in cell.places)


def test_losses_by_family_are_of_the_families_and_not_of_all_together(workspace: Workspace) -> None:
    """The same sequences, divided in another way, have another mean over families."""
    base = workspace.root.parent

    def keys(name: str, family_of: Callable[[int], str], families: list[str]) -> set[str]:
        records = [f">s{row} {family_of(row)}\n{rna}\n" for row, rna in enumerate(SEQUENCES)]
        (base / f"{name}.fa").write_text("".join(records))
        options = {"alphabet": "rna", "label_pattern": r"(family\w)"}
        dataset = workspace.create_dataset(workspace.project("lab"), name, [base / f"{name}.fa"], options)
        run_in_foreground(workspace, JobKind.INGEST, dataset.id)
        found = prepared(workspace, dataset=name, held_out_families=families)
        return {cell.key for cell in found.plan.pretrainings}

    def two(row: int) -> str:
        return "familya" if row < 30 else "familyb"

    def three(row: int) -> str:
        return "familya" if row < 30 else "familyb" if row < 45 else "familyc"

    def renamed(row: int) -> str:
        return "familyx" if row < 30 else "familyy"

    whole = keys("two", two, ["familyb"])
    assert keys("renamed", renamed, ["familyy"]) == whole
    assert not keys("three", three, ["familyb", "familyc"]) & whole


def test_leaks_are_those_of_the_bound_that_is_asked_for(workspace: Workspace) -> None:
    strict = prepared(workspace, near_identity=0.99, leave_out_leaks=True)
    assert "Task leaky: 0 of 16 training" in " ".join(strict.notes)
    assert "Task leaky: 2 of 16 training" in " ".join(prepared(workspace, leave_out_leaks=True).notes)


@pytest.mark.parametrize(
    ("options", "pooled"),
    [
        ({"ambiguous": "replace"}, 4),
        ({"maximum_length": 12, "too_long": "truncate"}, 4),
        ({"maximum_length": 12, "too_long": "window", "window_overlap": 3}, 12),
    ],
)
def test_test_sequences_are_known_again_as_the_pool_was_ingested(
    workspace: Workspace, options: dict[str, Any], pooled: int
) -> None:
    """Of the pool's 60 sequences of 30 letters the last four are tests, with an ambiguous letter."""
    sequences = [f"{rna[:14]}R{rna[:15]}" for rna in SEQUENCES]
    base = workspace.root.parent
    (base / "cut.fa").write_text("".join(f">s{n}\n{rna}\n" for n, rna in enumerate(sequences)))
    options = {"alphabet": "rna", **options}
    dataset = workspace.create_dataset(workspace.project("lab"), "cut", [base / "cut.fa"], options)
    run_in_foreground(workspace, JobKind.INGEST, dataset.id)
    splits = ["train"] * 8 + ["validation"] * 4 + ["test"] * 4
    rows = [f"{rna},{n}.5,{split}" for n, (rna, split) in enumerate(zip(sequences[44:], splits, strict=True))]
    (base / "clean.csv").write_text("sequence,label,split\n" + "\n".join(rows) + "\n")
    found = prepared(workspace, dataset="cut", **own())
    assert found.notes[0] == (
        f"{pooled} of {len(found.sequences)} sequences of the pool are test sequences and excluded."
    )


def test_near_identical_sequences_are_counted_and_told_of_each_arm_even_where_they_stay(
    workspace: Workspace,
) -> None:
    # Tests of "leaky" with a letter more at the end: near-identical to four sequences of the pool.
    path = workspace.root.parent / "clean.csv"
    path.write_text(
        "".join(
            f"{line.replace(',', 'A,', 1) if line.endswith('test') else line}\n"
            for line in path.read_text().splitlines()
        )
    )
    asked = own() | {"arms": [{"kind": "full"}], "held_out_share": 0.0}
    stay, go = prepared(workspace, **asked), prepared(workspace, **asked, near_identity=0.5)
    count = "4 more are near-identical to a test sequence (Jaccard index of k-mers from 0.5) and"
    assert stay.notes[0].startswith("0 of 60 sequences of the pool are test sequences")
    assert f"{count} not excluded. The setting `near_identity` excludes them." in stay.notes
    assert f"{count} excluded." in go.notes
    for each, share in ((stay, 4 / 60), (go, 0.0)):
        (full,) = [columns for place, columns in planned(each).columns.items() if place.arm == "full"][:1]
        assert full.near_test_share == pytest.approx(share)


def test_whether_the_runs_model_was_fine_tuned_is_read_from_the_run(workspace: Workspace) -> None:
    project = workspace.project("lab")
    dataset, model = workspace.dataset("pool", project), workspace.add_model(project, "tiny", "tiny")
    for name, training in (
        ("adapted", {}),
        ("steps", {"epochs": 0, "steps": 5}),
        ("as-given", {"epochs": 0}),
    ):
        workspace.create_run(workspace.plan_run(dataset, model, 5, training=training), name)
    asked = {name: configured(run=name) for name in ("adapted", "steps", "as-given")}
    found = {name: was_fine_tuned(workspace, config, None) for name, config in asked.items()}
    assert found == {"adapted": True, "steps": True, "as-given": False}
    assert was_fine_tuned(workspace, configured(), None) is None
    record = workspace.create_experiment("lab", asked["as-given"].to_json(), workspace.root.parent)
    workspace.rename(workspace.run("as-given", project), "another name")
    assert was_fine_tuned(workspace, asked["as-given"], record) is False
