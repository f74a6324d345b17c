"""What all of a workspace's things have in common: a folder, a state, a name."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from bioprune_core.errors import ConflictError, NotFoundError, StorageError
from bioprune_core.settings import Settings
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace.catalogue import Catalogue, RecordT
from bioprune_core.workspace.configuration import (
    CONFIG_FILE,
    DatasetConfig,
    ExperimentPlan,
    ModelConfig,
    RunConfig,
)
from bioprune_core.workspace.deletion import delete_record
from bioprune_core.workspace.layout import Layout
from bioprune_core.workspace.names import check_name, new_id
from bioprune_core.workspace.records import (
    Computed,
    Coreset,
    Dataset,
    Experiment,
    Model,
    Project,
    Record,
    Run,
)
from bioprune_core.workspace.state import MANIFEST_FILE, State, state_of

__all__ = ["Shelf"]


class Shelf:
    """A folder of computations and a catalogue of their names: the part of `Workspace` that treats all alike.

    Args:
        layout: Where the files lie.
        settings: The installation's settings.
        catalogue: The names.
    """

    def __init__(self, layout: Layout, settings: Settings, catalogue: Catalogue) -> None:
        self.layout = layout
        self.settings = settings
        self.catalogue = catalogue

    @classmethod
    def open(cls, root: Path | None = None, settings: Settings | None = None, *, make: bool = True) -> Self:
        """Open a workspace, making the folder and the catalogue when they are not there.

        Args:
            root: The folder; by default the settings' one.
            settings: By default from the environment.
            make: Whether to make them; for those who only read, a folder without them is refused.

        Raises:
            InputError: A variable of the environment has a value that cannot be.
            NotFoundError: There is no workspace, and none is to be made.
            StorageError: The folder or the database cannot be opened.
        """
        settings = settings or Settings.from_environment()
        layout = Layout(root or settings.workspace)
        try:
            if not (make or _is_there(layout, settings)):
                raise NotFoundError(
                    f"There is no workspace in {layout.root}. Name the folder of yours by BIOPRUNE_WORKSPACE "
                    "or bioprune --workspace FOLDER, or begin one with bioprune ingest."
                )
            layout.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The workspace folder {layout.root} cannot be made. Choose another with BIOPRUNE_WORKSPACE.",
                detail=str(error),
            ) from error
        return cls(layout, settings, Catalogue(settings.database_url or f"sqlite:///{layout.catalogue_file}"))

    @property
    def root(self) -> Path:
        """The workspace folder, absolute."""
        return self.layout.root

    def close(self) -> None:
        """Close the connections to the catalogue."""
        self.catalogue.close()

    # Projects

    def create_project(self, name: str) -> Project:
        """Make a project. Raises InputError or ConflictError for a wrong or taken name."""
        return self.catalogue.add(Project, name, id=new_id("project"))

    def projects(self) -> list[Project]:
        """All projects, oldest first."""
        return self.catalogue.select(Project)

    def project(self, name_or_id: str) -> Project:
        """The project of this name or id. Raises NotFoundError."""
        return self.catalogue.find(Project, name_or_id)

    def directory(self, record: Computed) -> Path:
        """The folder of a thing's files; that of a model from elsewhere does not exist."""
        match record:
            case Dataset():
                return self.layout.dataset(record.id)
            case Model():
                return self.layout.model(record.id)
            case Run():
                return self.layout.run(record.id)
            case Coreset():
                return self.layout.coreset(record.id)
            case Experiment():
                return self.layout.experiment(record.id)

    def state(self, record: Computed) -> State:
        """The state of a thing, told from its files; a model from elsewhere is always done."""
        if isinstance(record, Model) and record.reference:
            return State.DONE
        return state_of(self.directory(record))

    def config(self, record: Dataset | Model | Run | Experiment) -> Mapping[str, Any]:
        """The configuration a thing was made with, as JSON."""
        config: Mapping[str, Any] = read_json(self.directory(record) / CONFIG_FILE)
        return config

    def manifest(self, record: Computed) -> Mapping[str, Any]:
        """The manifest of a finished thing.

        Raises:
            ConflictError: It is not finished; names its state.
        """
        path = self.directory(record) / MANIFEST_FILE
        if not path.is_file():
            what = type(record).__name__.lower()
            raise ConflictError(
                f'The {what} "{record.name}" is not finished (it is {self.state(record)}). '
                "Wait for its job, or start it again."
            )
        manifest: Mapping[str, Any] = read_json(path)
        return manifest

    def rename(self, record: RecordT, name: str) -> RecordT:
        """Give a thing another name; its id, files and manifest stay. Raises InputError, ConflictError."""
        return self.catalogue.rename(record, name)

    def delete(self, record: Record) -> None:
        """Delete a thing and its files.

        Raises:
            ConflictError: Something was made from it, or it is being computed; says what.
        """
        delete_record(self.catalogue, self.layout, record)

    def _create(
        self,
        kind: type[RecordT],
        project_id: str,
        name: str,
        place: Callable[[str], Path],
        config: DatasetConfig | ModelConfig | RunConfig | ExperimentPlan,
        **columns: Any,
    ) -> RecordT:
        """Write the configuration, then the row: a row always has its files, also after a power cut."""
        name = check_name(name, kind.__name__.lower())
        identifier = new_id(kind.__name__.lower())
        directory = place(identifier)
        try:
            write_json(directory / CONFIG_FILE, config.to_json())
            return self.catalogue.add(kind, name, id=identifier, project_id=project_id, **columns)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    def _project_id(self, project: Project | str) -> str:
        return project.id if isinstance(project, Project) else self.project(project).id

    def _list(self, kind: type[RecordT], project: Project | str | None) -> list[RecordT]:
        if project is None:
            return self.catalogue.select(kind)
        return self.catalogue.select(kind, project_id=self._project_id(project))

    def _find(self, kind: type[RecordT], name_or_id: str, project: Project | str | None) -> RecordT:
        return self.catalogue.find(kind, name_or_id, None if project is None else self._project_id(project))


def _is_there(layout: Layout, settings: Settings) -> bool:
    if layout.root.exists() and not layout.root.is_dir():
        return True  # What it is instead is said where it is opened.
    # A folder may hold weights and nothing else yet. Of a catalogue elsewhere only the server knows.
    return layout.root.is_dir() if settings.database_url else layout.catalogue_file.is_file()
