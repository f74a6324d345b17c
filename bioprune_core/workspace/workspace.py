"""A workspace: a folder of computations with a catalogue of what people call them."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bioprune_core.errors import ConflictError, InputError, MissingFileError, NotFoundError
from bioprune_core.selection import Selection, selection_from_json
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace.configuration import CONFIG_FILE, DatasetConfig, ModelConfig, RunConfig
from bioprune_core.workspace.coresets import check_members, check_scores, same_scores, write_coreset
from bioprune_core.workspace.experiments import ExperimentShelf
from bioprune_core.workspace.model_files import refuse_changed_weights
from bioprune_core.workspace.names import NAME_LIMIT, check_name, clipped, free_name, name_key, new_id
from bioprune_core.workspace.planning import plan_model, plan_run
from bioprune_core.workspace.records import Coreset, Dataset, Model, Project, Run
from bioprune_core.workspace.state import MANIFEST_FILE, State

__all__ = ["Workspace"]


class Workspace(ExperimentShelf):
    """Datasets, models, runs, coresets and experiments, by project. Made by `Workspace.open`.

    Any number of processes may have the same workspace open. Wherever a project or thing is asked for by
    `name_or_id`, names are compared without regard to case.
    """

    # Datasets

    def create_dataset(
        self,
        project: Project | str,
        name: str,
        files: Iterable[Path | str],
        options: Mapping[str, Any] | None = None,
        *,
        within: Iterable[Path] = (),
    ) -> Dataset:
        """Note which files make a dataset. An ingest job then reads them.

        Args:
            project: The project, or its name or id.
            name: Name of the dataset.
            files: Files and folders; kept as absolute paths.
            options: `IngestOptions` as JSON.
            within: Folders that no file may lead out of, also not by a link; empty for anywhere.

        Raises:
            InputError: A wrong name, no files, or (MissingFileError) one that does not exist.
            ConflictError: The name is taken.
        """
        paths = [Path(file).expanduser().absolute() for file in files]
        for path in paths:
            if not path.exists():
                raise MissingFileError(
                    f"{path} does not exist. Check the path; relative ones start at {Path.cwd()}."
                )
        config = DatasetConfig(tuple(map(str, paths)), options or {}, tuple(map(str, within)))
        return self._create(Dataset, self._project_id(project), name, self.layout.dataset, config)

    def datasets(self, project: Project | str | None = None) -> list[Dataset]:
        """The datasets of a project, or all, oldest first."""
        return self._list(Dataset, project)

    def dataset(self, name_or_id: str, project: Project | str | None = None) -> Dataset:
        """The dataset of this name or id. Raises NotFoundError, or ConflictError for an ambiguous name."""
        return self._find(Dataset, name_or_id, project)

    # Models

    def add_model(self, project: Project | str, name: str, reference: str) -> Model:
        """Note a model from elsewhere by its registered name, hub id or path.

        Raises:
            InputError: A wrong name, or an empty reference.
            ConflictError: The name is taken.
        """
        if not reference.strip():
            raise InputError("The model's reference is empty. Give a registered name, a hub id or a path.")
        project_id = self._project_id(project)
        identifier = new_id("model")
        return self.catalogue.add(
            Model, name, id=identifier, project_id=project_id, reference=reference.strip(), dataset_id=None
        )

    def create_model(self, project: Project | str, name: str, config: ModelConfig) -> Model:
        """Note a model to be trained from scratch. A pretrain job then trains it.

        Raises:
            InputError: A wrong name.
            ConflictError: The name is taken.
        """
        return self._create(
            Model,
            self._project_id(project),
            name,
            self.layout.model,
            config,
            reference=None,
            dataset_id=config.dataset_id,
        )

    def plan_model(self, dataset: Dataset, architecture: str, scale: str, **settings: Any) -> ModelConfig:
        """The configuration of a model trained from scratch on a dataset.

        Args:
            dataset: What to train on; ingested.
            architecture: "rna-fm", "esm-2" or "esm-c".
            scale: "tiny", "small", "base" or "full".
            settings: Other fields of `ModelConfig`: seed, training, validation_size, training_size, device,
                coreset_id.

        Raises:
            ConflictError: The dataset is not ingested yet.
        """
        return plan_model(dataset, self.manifest(dataset), architecture, scale, settings)

    def models(self, project: Project | str | None = None) -> list[Model]:
        """The models of a project, or all, oldest first."""
        return self._list(Model, project)

    def model(self, name_or_id: str, project: Project | str | None = None) -> Model:
        """The model of this name or id. Raises NotFoundError, or ConflictError for an ambiguous name."""
        return self._find(Model, name_or_id, project)

    # Runs

    def plan_run(self, dataset: Dataset, model: Model, subset_size: int, **settings: Any) -> RunConfig:
        """The configuration of a run, with content hashes and every default written out.

        Args:
            dataset: The pool; ingested.
            model: The model; when trained here, finished.
            subset_size: M.
            settings: Other fields of `RunConfig`: subset_seed, held_out_size, training, influence, map,
                device; of training, influence and map what differs from the recommended.

        Raises:
            InputError: M is larger than the pool, or a setting is out of bounds.
            ModelError: The model reads another alphabet.
            ConflictError: The dataset or the model is not ready.
        """
        trained = None if model.reference else self.manifest(model)
        return plan_run(dataset, self.manifest(dataset), model, trained, subset_size, settings)

    def find_run(self, config: RunConfig) -> Run | None:
        """The run that computes exactly this, if there is one.

        Raises:
            ConflictError: There is, but the weights that it read from elsewhere were written over since.
        """
        found = self.catalogue.select(Run, digest=config.digest)
        if not found:
            return None
        refuse_changed_weights(found[0], config.model_reference, self.directory(found[0]))
        return found[0]

    def plan_estimate(self, config: RunConfig) -> str:
        """Note that a run's cost is wanted; an estimate job then measures it. Gives the estimate's id."""
        directory = self.layout.estimate(self.estimate_id(config))
        if not (directory / CONFIG_FILE).is_file():
            directory.mkdir(parents=True, exist_ok=True)
            write_json(directory / CONFIG_FILE, config.to_json())
        return directory.name

    def estimate(self, config: RunConfig) -> Mapping[str, Any] | None:
        """What `bioprune_core.estimate` measured for a run of this configuration; None where nothing did."""
        path = self.layout.estimate(self.estimate_id(config)) / MANIFEST_FILE
        return read_json(path)["cost"] if path.is_file() else None

    @staticmethod
    def estimate_id(config: RunConfig) -> str:
        """The id of the estimate of a run of this configuration."""
        return f"estimate-{config.digest[:20]}"

    def create_run(self, config: RunConfig, name: str | None = None) -> Run:
        """Note a run. A score job then computes it.

        Args:
            config: From `plan_run`.
            name: By default "<dataset> by <model>", numbered when taken.

        Raises:
            InputError: A wrong name.
            ConflictError: The name is taken, or a run with this very configuration exists.
        """
        existing = self.find_run(config)
        if existing is not None:
            raise ConflictError(
                f'The run "{existing.name}" ({existing.id}) has exactly these settings. '
                "Use it, or change one."
            )
        dataset = self.catalogue.get(Dataset, config.dataset_id)
        model = self.catalogue.get(Model, config.model_id)
        name = name or self._free_run_name(dataset, model)
        return self._create(
            Run,
            dataset.project_id,
            name,
            self.layout.run,
            config,
            dataset_id=dataset.id,
            model_id=model.id,
            digest=config.digest,
        )

    def runs(self, project: Project | str | None = None) -> list[Run]:
        """The runs of a project, or all, oldest first."""
        return self._list(Run, project)

    def run(self, name_or_id: str, project: Project | str | None = None) -> Run:
        """The run of this name or id. Raises NotFoundError, or ConflictError for an ambiguous name."""
        return self._find(Run, name_or_id, project)

    # Coresets

    def create_coreset(self, run: Run, name: str, selection: Selection) -> Coreset:
        """Select from a run and save the selection.

        Args:
            run: A finished run.
            name: Name of the coreset.
            selection: `SelectionConfig` for a strategy, `PickedSelection` for what a person brushed.

        Raises:
            InputError: A wrong name.
            SelectionError: The scores or the parameters do not allow a selection, or nothing is picked.
            ConflictError: The name is taken, the run is not finished, or it was deleted meanwhile.
        """
        name = check_name(name, "coreset")
        if self.catalogue.select(Coreset, project_id=run.project_id, key=name_key(name)):
            raise ConflictError(f'There is already a coreset named "{name}" in this project. Choose another.')
        identifier = new_id("coreset")
        write_coreset(self.layout, run.id, selection, self.layout.coreset(identifier), identifier)
        try:
            return self.catalogue.add(Coreset, name, id=identifier, project_id=run.project_id, run_id=run.id)
        except BaseException:
            shutil.rmtree(self.layout.coreset(identifier), ignore_errors=True)
            raise

    def recreate_coreset(
        self, manifest: Mapping[str, Any], name: str, project: Project | str | None = None
    ) -> Coreset:
        """Make a coreset again from its manifest alone, with the very same members.

        Args:
            manifest: The manifest of the coreset, as `read_coreset_manifest` checks it.
            name: Name of the new coreset.
            project: Where it is to be; by default where its run is.

        Raises:
            InputError: A wrong name.
            NotFoundError: Neither the run named in the manifest nor one with the same scores is here.
            ConflictError: The name is taken, the run's scores are others, or the result differs.
        """
        run = self._run_behind(manifest, None if project is None else self._project_id(project))
        check_scores(manifest, self.manifest(run))
        coreset = self.create_coreset(run, name, selection_from_json(manifest["selection"]))
        try:
            check_members(manifest, self.manifest(coreset))
        except ConflictError:
            self.delete(coreset)
            raise
        return coreset

    def _run_behind(self, manifest: Mapping[str, Any], project_id: str | None) -> Run:
        """The run that a coreset was selected from, or one with the same scores."""
        named = self.catalogue.select(Run, id=manifest["run_id"])
        if named and project_id in (None, named[0].project_id):
            return named[0]
        for run in self._list(Run, project_id):
            if self.state(run) is not State.DONE:
                continue
            if same_scores(manifest, self.manifest(run)):
                return run
        if named:
            home = self.catalogue.get(Project, named[0].project_id)
            raise ConflictError(
                f'The coreset was selected from the run "{named[0].name}" of the project "{home.name}". '
                "Make it again there."
            )
        raise NotFoundError(
            f"The coreset was selected from the run {manifest['run_id']}, which is not here, and no run here "
            "has the same scores. Score the same dataset with the same model and settings first."
        )

    def coresets(self, project: Project | str | None = None) -> list[Coreset]:
        """The coresets of a project, or all, oldest first."""
        return self._list(Coreset, project)

    def coreset(self, name_or_id: str, project: Project | str | None = None) -> Coreset:
        """The coreset of this name or id. Raises NotFoundError, or ConflictError for an ambiguous name."""
        return self._find(Coreset, name_or_id, project)

    def _free_run_name(self, dataset: Dataset, model: Model) -> str:
        part = NAME_LIMIT // 2 - 5
        name = f"{clipped(dataset.name, part)} by {clipped(model.name, part)}"
        return free_name(name, (run.name for run in self.runs(dataset.project_id)))
