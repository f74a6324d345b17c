"""What the catalogue knows of each thing: its id, its name, what it belongs to."""

from dataclasses import dataclass

__all__ = ["Computed", "Coreset", "Dataset", "Experiment", "Model", "Project", "Record", "Run"]


@dataclass(frozen=True, slots=True)
class Project:
    """A place for the datasets, models, runs, coresets and experiments of one piece of work.

    Args:
        id: Identifier.
        name: Name, unique in the workspace without regard to case.
        created: When, ISO 8601 in UTC.
    """

    id: str
    name: str
    created: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Sequence files and how to read them; once ingested, a pool.

    Args:
        id: Identifier and folder name.
        project_id: The project it belongs to.
        name: Name, unique among the datasets of the project.
        created: When, ISO 8601 in UTC.
    """

    id: str
    project_id: str
    name: str
    created: str


@dataclass(frozen=True, slots=True)
class Model:
    """A masked language model: one with a name or path elsewhere, or one trained here.

    Args:
        id: Identifier, and folder name of a model trained here.
        project_id: The project it belongs to.
        name: Name, unique among the models of the project.
        created: When, ISO 8601 in UTC.
        reference: Registered name, hub id or path; None for a model trained here.
        dataset_id: What a model trained here is trained on; None for one from elsewhere.
    """

    id: str
    project_id: str
    name: str
    created: str
    reference: str | None
    dataset_id: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """The scoring of one dataset by one model.

    Args:
        id: Identifier and folder name.
        project_id: The project it belongs to.
        name: Name, unique among the runs of the project.
        created: When, ISO 8601 in UTC.
        dataset_id: The pool.
        model_id: The model.
        digest: SHA-256 of the configuration: equal digests are the same computation.
    """

    id: str
    project_id: str
    name: str
    created: str
    dataset_id: str
    model_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Coreset:
    """A saved selection from a run's scores.

    Args:
        id: Identifier and folder name.
        project_id: The project it belongs to.
        name: Name, unique among the coresets of the project.
        created: When, ISO 8601 in UTC.
        run_id: The run whose scores were selected from.
    """

    id: str
    project_id: str
    name: str
    created: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison of coresets by what is trained on them. Its results lie in cells that others share.

    Args:
        id: Identifier and folder name.
        project_id: The project it belongs to.
        name: Name, unique among the experiments of the project.
        created: When, ISO 8601 in UTC.
        dataset_id: The pool.
        run_id: The run that its arms select from; None where no arm looks at influence.
    """

    id: str
    project_id: str
    name: str
    created: str
    dataset_id: str
    run_id: str | None


Computed = Dataset | Model | Run | Coreset | Experiment
"""What has a folder."""

Record = Project | Computed
