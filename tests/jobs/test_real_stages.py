"""The real stages on a pool of 120 short sequences, from files to a coreset."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from real_worker import WITHOUT_MAP
from stages_here import compute_here
from workspace_samples import open_workspace, random_sequences

from bioprune_core.diagnostics import Level, trust_sentences
from bioprune_core.errors import ConflictError, InputError, ModelError
from bioprune_core.hashing import file_digest
from bioprune_core.influence import read_fisher
from bioprune_core.jobs import JobKind, run_in_foreground
from bioprune_core.jobs.context import StageContext
from bioprune_core.jobs.correlations import score_correlations
from bioprune_core.jobs.diagnostic_stages import diagnose
from bioprune_core.jobs.kinds import PLANS
from bioprune_core.jobs.score_stages import join_fisher, join_score
from bioprune_core.progress import Progress, discard
from bioprune_core.selection import SelectionConfig
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Dataset, Model, Run, State, Workspace, export_coreset, open_views

COUNT, SUBSET = 120, 30
SMALL = {
    "training": {"steps": 2, "token_budget": 512},
    "influence": {"shard_size": 32},
    "diagnostics": {"enabled": True},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Dataset, Model, Run]]:
    """A dataset, a model from scratch and a run, all computed by the real stages."""
    root = tmp_path_factory.mktemp("real")
    workspace = open_workspace(root / "workspace")
    source = root / "pool.fa"
    records = (f">seq{row} number {row}\n{letters}\n" for row, letters in enumerate(random_sequences(COUNT)))
    source.write_text(
        "".join(records) + ">long\n" + "ACGU" * 300 + "\n>again\n" + random_sequences(1)[0] + "\n"
    )
    project = workspace.create_project("real")
    dataset = workspace.create_dataset(project, "pool", [source], {"alphabet": "rna"})
    run_in_foreground(workspace, JobKind.INGEST, dataset.id)
    wishes = {"steps": 2, "token_budget": 512}
    model = workspace.create_model(
        project, "tiny", workspace.plan_model(dataset, "rna-fm", "tiny", training=wishes, validation_size=10)
    )
    run_in_foreground(workspace, JobKind.PRETRAIN, model.id)
    run = workspace.create_run(workspace.plan_run(dataset, model, SUBSET, held_out_size=20, **SMALL))
    run_in_foreground(workspace, JobKind.SCORE, run.id)
    yield workspace, dataset, model, run
    workspace.close()


Made = tuple[Workspace, Dataset, Model, Run]


def test_the_dataset_counts_every_record(made: Made) -> None:
    workspace, dataset, *_ = made
    manifest = workspace.manifest(dataset)
    assert manifest["sequences"] == COUNT + 1
    assert manifest["inputs"][0]["sha256"]


def test_the_models_manifest_says_how_it_was_made(made: Made) -> None:
    workspace, dataset, model, _ = made
    manifest = workspace.manifest(model)
    assert manifest["dataset"]["content_hash"] == workspace.manifest(dataset)["content_hash"]
    assert manifest["training"]["steps"] == 2
    assert manifest["training"]["validation_sequences"] == 10
    assert len(manifest["content_hash"]) == 64


def test_the_runs_manifest_is_complete_and_true(made: Made) -> None:
    workspace, dataset, model, run = made
    manifest = workspace.manifest(run)
    assert manifest["counts"]["sequences"] == manifest["scores"]["rows"] == COUNT + 1
    assert manifest["counts"]["truncated"] == 1
    assert 0 < manifest["counts"]["device_busy"] <= 1
    assert manifest["subset"]["sequences"] == SUBSET
    assert manifest["subset"]["held_out"] == 20
    assert manifest["model"]["content_hash"] == workspace.manifest(model)["content_hash"]
    assert manifest["model"]["adapted_content_hash"] != manifest["model"]["content_hash"]
    assert manifest["dataset"]["content_hash"] == workspace.manifest(dataset)["content_hash"]
    assert manifest["convergence"]["subset"]["before"] > 0
    assert manifest["convergence"]["sentence"].endswith(".")
    assert [stage["stage"] for stage in manifest["stages"]] == [
        stage.name for stage in PLANS[JobKind.SCORE][:-1]
    ]
    assert all(stage["seconds"] > 0 and stage["attempts"] == 1 for stage in manifest["stages"])
    for part in manifest["scores"]["parts"]:
        assert file_digest(workspace.directory(run) / "scores" / part["name"]) == part["sha256"]
    assert len(manifest["scores"]["digest"]) == 64
    assert -1 <= manifest["rank_correlations"]["tokens"] <= 1
    assert {"torch", "transformers", "bioprune", "python"} <= set(manifest["versions"])
    assert manifest["hardware"]["processors"] >= 1


def test_the_mean_influence_of_the_subset_is_that_of_theory(made: Made) -> None:
    """The mean of I over D_sub is sum_j F_j / (F_j + damping)."""
    workspace, _, _, run = made
    directory = workspace.directory(run)
    subset = pq.read_table(directory / "subset.parquet")["position"].to_numpy()
    with open_views(workspace, run) as views:
        influence = views.sql("SELECT influence FROM scores ORDER BY position").fetchnumpy()["influence"]
    fisher = read_fisher(directory / "fisher")
    np.testing.assert_allclose(influence[subset].mean(), (fisher / (fisher + 1e-8)).sum(), rtol=1e-5)


def test_a_finished_run_keeps_no_intermediates_of_the_size_of_its_gradients(made: Made) -> None:
    workspace, _, _, run = made
    directory = workspace.directory(run)
    kept = {path.relative_to(directory).as_posix() for path in directory.rglob("*.safetensors")}
    assert {path for path in kept if not path.startswith("adapted/")} == {"fisher/fisher.safetensors"}


def test_the_same_wishes_find_the_finished_run(made: Made) -> None:
    workspace, dataset, model, run = made
    again = workspace.plan_run(dataset, model, SUBSET, held_out_size=20, **SMALL)
    assert workspace.find_run(again) == run
    seen: list[Progress] = []
    run_in_foreground(workspace, JobKind.SCORE, run.id, seen.append)
    assert seen == []
    assert workspace.state(run) is State.DONE


def test_a_run_knows_the_weights_again_that_it_has_read_from_elsewhere(made: Made, tmp_path: Path) -> None:
    workspace, dataset, model, _ = made
    network = tmp_path / "network"
    shutil.copytree(workspace.directory(model) / "network", network)
    theirs = workspace.add_model(dataset.project_id, "theirs", str(network))
    config = workspace.plan_run(dataset, theirs, SUBSET, held_out_size=20, **SMALL)
    run = workspace.create_run(config)
    compute_here(workspace, JobKind.SCORE, run.id, {JobKind.SCORE: PLANS[JobKind.SCORE][:2]})
    assert workspace.find_run(config) == run
    weights = network / "model.safetensors"
    before = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ConflictError, match=r"model\.safetensors is not what"):
        workspace.find_run(config)


def test_wishes_are_checked_before_anything_is_computed(made: Made) -> None:
    workspace, dataset, model, _ = made
    with pytest.raises(InputError, match="learning_rate"):
        workspace.plan_run(dataset, model, SUBSET, training={"learning_rate": -1})
    with pytest.raises(InputError, match="objective"):
        workspace.plan_run(dataset, model, SUBSET, influence={"objective": "guess"})
    with pytest.raises(InputError, match="landmarks"):
        workspace.plan_run(dataset, model, SUBSET, map={"landmarks": 0})
    protein = workspace.add_model(dataset.project_id, "protein model", "esm2-8m")
    with pytest.raises(ModelError, match="reads protein, but the dataset pool holds rna"):
        workspace.plan_run(dataset, protein, SUBSET)


def test_sequences_that_are_refused_are_met_before_the_fine_tuning(made: Made) -> None:
    workspace, dataset, model, _ = made
    settings = SMALL | {"influence": {"shard_size": 32, "too_long": "refuse"}}
    run = workspace.create_run(workspace.plan_run(dataset, model, SUBSET, held_out_size=20, **settings))
    with pytest.raises(InputError, match=rf"1 sequence is longer .* position {COUNT} with 1,200"):
        run_in_foreground(workspace, JobKind.SCORE, run.id)
    assert not (workspace.directory(run) / "adapted").exists()


def test_planning_needs_no_torch(made: Made) -> None:
    workspace, dataset, model, _ = made
    script = (
        "import sys\nfrom pathlib import Path\nfrom bioprune_core.workspace import Workspace\n"
        "workspace = Workspace.open(Path(sys.argv[1]))\n"
        "dataset, model = workspace.dataset(sys.argv[2]), workspace.model(sys.argv[3])\n"
        "workspace.plan_run(dataset, model, 10)\nworkspace.plan_model(dataset, 'rna-fm', 'tiny')\n"
        "project = workspace.projects()[0]\n"
        "named = workspace.add_model(project, 'named', 'rna-fm')\n"
        "workspace.plan_run(dataset, named, 10)\nworkspace.delete(named)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    arguments = [str(workspace.root), dataset.id, model.id]
    assert subprocess.run([sys.executable, "-c", script, *arguments], check=False).returncode == 0


def test_a_coreset_of_the_run_can_be_looked_at_and_taken_away(made: Made, tmp_path: Path) -> None:
    workspace, _, _, run = made
    coreset = workspace.create_coreset(run, "half", SelectionConfig(prune_rate=50, strata=5))  # type: ignore[arg-type]
    export_coreset(workspace, coreset, "fasta", tmp_path / "half.fasta")
    assert (tmp_path / "half.fasta").read_text().count(">") == (COUNT + 1) - (COUNT + 1) // 2
    with open_views(workspace, run) as views:
        count = views.sql("SELECT count(*) FROM sequences_scored JOIN map USING (position)").fetchall()
    assert count == [(COUNT + 1,)]


def test_a_pool_that_changed_after_the_plan_is_refused(made: Made) -> None:
    workspace, dataset, model, _ = made
    config = workspace.plan_run(dataset, model, SUBSET, subset_seed=9)
    changed = type(config).from_json(config.to_json() | {"dataset_content_hash": "0" * 64})
    run = workspace.create_run(changed, "changed")
    with pytest.raises(ConflictError, match="has changed since this was planned"):
        compute_here(workspace, JobKind.SCORE, run.id)


def test_the_agreement_of_the_masks_is_reported_where_there_are_two_halves(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    influence = random.lognormal(size=200)
    columns = {"position": np.arange(200), "influence": influence, "tokens": random.integers(9, 99, 200)}
    columns |= {name: random.random(200) for name in ("loss", "gradient_norm")}
    pq.write_table(pa.table(columns), tmp_path / "plain.parquet")
    assert "mask_halves" not in score_correlations([tmp_path / "plain.parquet"], 200)
    columns |= {"influence_even": influence, "influence_odd": influence**2}
    pq.write_table(pa.table(columns), tmp_path / "masked.parquet")
    assert score_correlations([tmp_path / "masked.parquet"], 200)["mask_halves"] == pytest.approx(1)


def test_the_diagnostics_are_in_the_manifest_and_change_no_score(made: Made) -> None:
    workspace, dataset, model, run = made
    found = workspace.manifest(run)["diagnostics"]
    assert found["agreement"]["subset"] == SUBSET
    # What the subset, the held-out slice and the second subset leave of the pool.
    assert found["agreement"]["sample"] == COUNT + 1 - 2 * SUBSET - 20
    assert found["agreement"]["verdict"] in ("large-enough", "rough", "too-small")
    assert {row["form"] for row in found["curvature"]["rows"]} == {"full", "kronecker", "diagonal"}
    assert found["curvature"]["members"] == SUBSET
    adjusted = workspace.manifest(run)["rank_correlations"]["length_adjusted"]
    assert abs(adjusted["tokens"]) < abs(workspace.manifest(run)["rank_correlations"]["tokens"])
    levels = [finding.level for finding in trust_sentences(workspace.manifest(run))]
    assert Level.UNKNOWN not in levels and len(levels) == 5
    without = workspace.plan_run(
        dataset, model, SUBSET, held_out_size=20, **SMALL | {"diagnostics": {"enabled": False}}
    )
    other = workspace.create_run(without, "without")
    compute_here(workspace, JobKind.SCORE, other.id, WITHOUT_MAP)
    assert workspace.manifest(other)["scores"]["sha256"] == workspace.manifest(run)["scores"]["sha256"]
    assert "switched off" in workspace.manifest(other)["diagnostics"]["reason"]


def test_interrupted_diagnostics_go_on_and_come_out_the_same(made: Made, tmp_path: Path) -> None:
    workspace, _, _, run = made
    directory = workspace.directory(run)
    before = workspace.manifest(run)["diagnostics"]
    (directory / "diagnostics" / "curvature.json").unlink()
    scores = sorted((directory / "diagnostics" / "second" / "scores").glob("part-*.parquet"))
    scores[0].unlink()
    seen: list[Progress] = []
    assert diagnose(StageContext(directory, seen.append)) == before
    assert {progress.stage for progress in seen} == {"diagnostics"}
    assert all(progress.total and progress.done <= progress.total for progress in seen)


def test_who_computes_on_another_device_does_not_help(made: Made) -> None:
    workspace, _, _, run = made
    copy = workspace.directory(run).with_name("copy")
    shutil.copytree(workspace.directory(run), copy)
    try:
        context = StageContext(copy, discard)
        plan = read_json(copy / "fisher" / "plan.json")
        missing = [copy / "fisher" / "part-00000.safetensors", copy / "scores" / "part-00001.parquet"]
        for path in missing:
            # The parts of the Fisher went with the end of the run.
            path.unlink(missing_ok=True)
            # Helpers leave alone what has a receipt.
            path.with_suffix(".json").unlink()
        for device, helped in (("cuda", False), ("cpu", True)):
            write_json(copy / "fisher" / "plan.json", plan | {"device": device})
            assert (join_fisher(context), join_score(context)) == (helped, helped)
            assert [path.exists() for path in missing] == [helped, helped]
    finally:
        shutil.rmtree(copy)


def test_a_second_subset_needs_room(made: Made) -> None:
    workspace, dataset, model, _ = made
    wishes = SMALL | {"diagnostics": {"enabled": True, "curvature_sample": 0}}
    run = workspace.create_run(workspace.plan_run(dataset, model, 70, held_out_size=5, **wishes), "large")
    compute_here(workspace, JobKind.SCORE, run.id, WITHOUT_MAP)
    found = workspace.manifest(run)["diagnostics"]
    assert "no room for a second subset of 70" in found["agreement"]["reason"]
    assert "reason" in found["curvature"]
    unknown = [
        finding for finding in trust_sentences(workspace.manifest(run)) if finding.level is Level.UNKNOWN
    ]
    assert len(unknown) == 2


def test_diagnostics_are_on_by_default_where_they_cost_little(made: Made) -> None:
    workspace, dataset, model, _ = made
    assert not workspace.plan_run(dataset, model, SUBSET).diagnostics["enabled"]
    cheap = {"sample_size": 0, "curvature_sample": 20, "curvature_members": 5}
    assert workspace.plan_run(dataset, model, SUBSET, diagnostics=cheap).diagnostics["enabled"]
    with pytest.raises(InputError, match="sample_size"):
        workspace.plan_run(dataset, model, SUBSET, diagnostics={"sample_size": -1})
