"""The demonstration: the sample, from its file to an exported coreset, by the stages of every run."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from bioprune_core.demo.sample import SAMPLE
from bioprune_core.errors import NotFoundError
from bioprune_core.jobs import JobKind, run_in_foreground
from bioprune_core.progress import Reporter
from bioprune_core.selection import SelectionConfig, Strategy, selection_from_json
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.training.presets import pretraining
from bioprune_core.workspace import (
    Coreset,
    Dataset,
    ExportFormat,
    Model,
    Project,
    Run,
    State,
    Workspace,
    export_coreset,
    export_provenance,
    free_name,
)

__all__ = ["PROJECT", "DemoResult", "prepare_demo"]

PROJECT = "Demo"
_SUBSET = 1000

_Made = TypeVar("_Made")
_Computed = TypeVar("_Computed", Dataset, Model, Run)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demonstration made.

    Args:
        project: Id of the project.
        run: Id of the scoring run.
        pool: Sequences scored.
        coreset: Sequences in the coreset.
        exported: The FASTA file of the coreset.
        seconds: Wall time of this call.
    """

    project: str
    run: str
    pool: int
    coreset: int
    exported: Path
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"exported": str(self.exported)}


def prepare_demo(workspace: Workspace, report: Reporter) -> DemoResult:
    """Ingest the sample, train a small model, score, map, select and export; each only where missing.

    Raises:
        BioPruneError: A stage failed; what was finished is kept and used by the next call.
    """
    start = time.monotonic()
    project = _found_or(lambda: workspace.project(PROJECT), lambda: workspace.create_project(PROJECT))
    dataset = _dataset(workspace, project, report)
    model = _model(workspace, project, dataset, report)
    run = _run(workspace, dataset, model, report)
    coreset = _coreset(workspace, run)
    manifest = workspace.manifest(coreset)
    exported = workspace.root / "exports" / "demo-coreset.fasta"
    export_coreset(workspace, coreset, ExportFormat.FASTA, exported)
    export_provenance(workspace, coreset, exported)
    return DemoResult(
        project=project.id,
        run=run.id,
        pool=manifest["pool_sequences"],
        coreset=manifest["sequences"],
        exported=exported,
        seconds=time.monotonic() - start,
    )


def _dataset(workspace: Workspace, project: Project, report: Reporter) -> Dataset:
    options = IngestOptions(minimum_length=30, label_pattern=r"family=(\S+)").to_json()
    dataset = _found_or(
        lambda: workspace.dataset("RNA sample", project),
        lambda: workspace.create_dataset(project, "RNA sample", [SAMPLE], options),
    )
    return _finished(workspace, JobKind.INGEST, dataset, report)


def _model(workspace: Workspace, project: Project, dataset: Dataset, report: Reporter) -> Model:
    model = _found_or(
        lambda: workspace.model("Small RNA model", project),
        lambda: workspace.create_model(
            project,
            "Small RNA model",
            workspace.plan_model(dataset, "rna-fm", "tiny", training=pretraining().to_json()),
        ),
    )
    return _finished(workspace, JobKind.PRETRAIN, model, report)


def _run(workspace: Workspace, dataset: Dataset, model: Model, report: Reporter) -> Run:
    config = workspace.plan_run(dataset, model, _SUBSET)
    run = workspace.find_run(config)
    if run is None:
        # With another version's defaults there may be a first scoring already.
        name = free_name("First scoring", (each.name for each in workspace.runs(dataset.project_id)))
        run = workspace.create_run(config, name)
    return _finished(workspace, JobKind.SCORE, run, report)


def _coreset(workspace: Workspace, run: Run) -> Coreset:
    config = SelectionConfig(
        strategy=Strategy.COVERAGE_CENTRIC, prune_rate=Decimal(90), hardest_cut=Decimal(5), strata=50
    )
    coresets = workspace.coresets(run.project_id)
    for coreset in coresets:
        if coreset.run_id != run.id:
            continue
        if selection_from_json(workspace.manifest(coreset)["selection"]) == config:
            return coreset
    name = free_name("CCI 10 percent", (each.name for each in coresets))
    return workspace.create_coreset(run, name, config)


def _found_or(find: Callable[[], _Made], make: Callable[[], _Made]) -> _Made:
    try:
        return find()
    except NotFoundError:
        return make()


def _finished(workspace: Workspace, kind: JobKind, record: _Computed, report: Reporter) -> _Computed:
    if workspace.state(record) is not State.DONE:
        run_in_foreground(workspace, kind, record.id, report)
    return record
