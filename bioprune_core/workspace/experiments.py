"""The experiments of a workspace: what was asked for, which may change while the cells' results stay."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bioprune_core.devices import check_device
from bioprune_core.errors import ConflictError, InputError
from bioprune_core.storage import read_json, storage_error, write_json
from bioprune_core.workspace.configuration import CONFIG_FILE, ExperimentPlan
from bioprune_core.workspace.locks import JOB_LOCK, is_held
from bioprune_core.workspace.records import Coreset, Dataset, Experiment, Project, Run
from bioprune_core.workspace.shelf import Shelf
from bioprune_core.workspace.state import MANIFEST_FILE, State

__all__ = ["PLAN_FILE", "ExperimentShelf"]

PLAN_FILE = "plan.json"
"""Which cells an experiment consists of; written once its inputs were read."""


class ExperimentShelf(Shelf):
    """The part of `Workspace` that knows experiments."""

    def create_experiment(
        self, project: Project | str, settings: Mapping[str, Any], base: Path, device: str = "auto"
    ) -> Experiment:
        """Note an experiment. An experiment job then carries it out.

        Args:
            project: The project, or its name or id.
            settings: `ExperimentConfig` as JSON; its dataset, run and saved coresets must be the project's.
            base: Folder that relative paths of tasks start at.
            device: What a worker computes on: "auto", "cpu", "cuda", "cuda:1", ...

        Raises:
            InputError: A wrong name or device, or a size that the dataset is too small for.
            NotFoundError: There is no such dataset, run or coreset.
            ConflictError: The name is taken, or the run is of another dataset.
        """
        project_id = self._project_id(project)
        dataset, run = self._inputs(project_id, settings)
        self.check_sizes(dataset, settings["sizes"])
        return self._create(
            Experiment,
            project_id,
            str(settings["name"]),
            self.layout.experiment,
            self._plan(project_id, settings, base, {}, device),
            dataset_id=dataset.id,
            run_id=None if run is None else run.id,
        )

    def revise_experiment(
        self, experiment: Experiment, settings: Mapping[str, Any], base: Path, device: str | None = None
    ) -> None:
        """Give an experiment other settings. Results of cells are kept; those that still belong count again.

        Its plan, of the settings before, stays until a job has made the new one.

        Args:
            experiment: The experiment; its dataset and run stay, and its coresets where they have the same
                names in the settings.
            settings: As for `create_experiment`.
            base: As for `create_experiment`.
            device: As for `create_experiment`; None for the one before.

        Raises:
            InputError: A wrong device, or a size that the dataset is too small for.
            NotFoundError: There is no such dataset, run or coreset.
            ConflictError: It is being computed, or the settings name another dataset or run.
            StorageError: The files cannot be written.
        """
        directory = self.directory(experiment)
        before = ExperimentPlan.from_json(read_json(directory / CONFIG_FILE))
        # By the same names it is on the same: dataset, run and coresets may have got others since.
        if any(settings.get(name) != before.settings.get(name) for name in ("dataset", "run")):
            dataset, run = self._inputs(experiment.project_id, settings)
            if (dataset.id, None if run is None else run.id) != (experiment.dataset_id, experiment.run_id):
                raise ConflictError(
                    f'The experiment "{experiment.name}" is on another dataset or run. Name this one '
                    "otherwise."
                )
        self.check_sizes(self.catalogue.get(Dataset, experiment.dataset_id), settings["sizes"])
        place = before.device if device is None else device
        plan = self._plan(experiment.project_id, settings, base, before.coresets, place)
        if is_held(directory / JOB_LOCK):
            raise ConflictError(
                f'The experiment "{experiment.name}" is being computed. Cancel its job before you change it.'
            )
        # The settings last: with new ones and the old record of planning, nobody would plan again.
        try:
            (directory / MANIFEST_FILE).unlink(missing_ok=True)
            if (directory / "stages").exists():
                shutil.rmtree(directory / "stages")
        except OSError as error:
            raise storage_error(error, directory) from error
        write_json(directory / CONFIG_FILE, plan.to_json())

    def check_sizes(self, dataset: Dataset, sizes: Iterable[int]) -> None:
        """Refuse coreset sizes for which a dataset has too few sequences; nothing where it is not ingested.

        What is excluded and held out, which planning finds, leaves less still.

        Raises:
            InputError: A size is not below the number of sequences; names it.
        """
        if self.state(dataset) is not State.DONE:
            return
        sequences = self.manifest(dataset)["sequences"]
        if (largest := max(sizes)) >= sequences:
            raise InputError(
                f'The coreset size is {largest:,}, but the dataset "{dataset.name}" has {sequences:,} '
                "sequences; a size must be less than that. Choose a smaller one."
            )

    def experiments(self, project: Project | str | None = None) -> list[Experiment]:
        """The experiments of a project, or all, oldest first."""
        return self._list(Experiment, project)

    def experiment(self, name_or_id: str, project: Project | str | None = None) -> Experiment:
        """The experiment of this name or id. Raises NotFoundError, or ConflictError for an ambiguous name."""
        return self._find(Experiment, name_or_id, project)

    def _plan(
        self, project_id: str, settings: Mapping[str, Any], base: Path, known: Mapping[str, str], device: str
    ) -> ExperimentPlan:
        """What is asked for, with the ids of its coresets: those known by name, or as they are called now."""
        plan = ExperimentPlan(settings, str(base.resolve()), check_device(device))
        found = {
            name: known.get(name) or self._find(Coreset, name, project_id).id for name in plan.named_coresets
        }
        return replace(plan, coresets=found)

    def _inputs(self, project_id: str, settings: Mapping[str, Any]) -> tuple[Dataset, Run | None]:
        dataset = self._find(Dataset, str(settings["dataset"]), project_id)
        run = settings.get("run")
        if run is None:
            return dataset, None
        found = self._find(Run, str(run), project_id)
        if found.dataset_id != dataset.id:
            raise ConflictError(
                f'The run "{found.name}" scored another dataset than "{dataset.name}". Name one of this.'
            )
        return dataset, found
