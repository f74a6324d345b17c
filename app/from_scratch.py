"""What the forms that train a model from scratch share: its family, its size, and how its training starts."""

from typing import Any

from streamlit.delta_generator import DeltaGenerator

from app.components import field_error
from app.job_views import start_job
from app.services import workspace
from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import BioPruneError
from bioprune_core.jobs import JobKind
from bioprune_core.models.architectures import Architecture, Scale
from bioprune_core.workspace import Dataset, Model, Project

__all__ = ["architectures", "choose_architecture", "start_training"]


def architectures(alphabet: Alphabet) -> list[str]:
    """The families that read an alphabet, the likeliest first."""
    families = [Architecture.ESM_2, Architecture.ESM_C]
    if alphabet is not Alphabet.PROTEIN:
        families.insert(0, Architecture.RNA_FM)
    return [each.value for each in families]


def choose_architecture(left: DeltaGenerator, right: DeltaGenerator, alphabet: Alphabet) -> tuple[str, str]:
    """The family and the scale of a new network, in a column each."""
    family = left.selectbox("Architecture", architectures(alphabet), key="architecture", bind="query-params")
    scale = right.selectbox(
        "Size",
        [each.value for each in Scale],
        format_func=str.capitalize,
        key="scale",
        bind="query-params",
    )
    return family, scale


def start_training(
    project: Project, name: str, dataset: Dataset, family: str, scale: str, **settings: Any
) -> Model | None:
    """Note a model and leave its training to a worker; None where something is wrong, which is shown.

    Args:
        project: Where the model belongs.
        name: Of the model.
        dataset: What it is trained on, or the dataset of the coreset.
        family: Its architecture.
        scale: Its size.
        settings: As `Workspace.plan_model` takes them.
    """
    try:
        config = workspace().plan_model(dataset, family, scale, **settings)
        model = workspace().create_model(project, name, config)
        start_job(JobKind.PRETRAIN, model.id)
    except BioPruneError as error:
        field_error(error.message)
        return None
    return model
