"""Does influence predict what leaving sequences out of training does? Answered by retraining small models.

Names are resolved on first use, so that settings and reports can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.validation.configuration import ValidationConfig
    from bioprune_core.validation.datamodelling import datamodelling_scores
    from bioprune_core.validation.memorisation import chance_of_agreement, memorisation_scores, reliability
    from bioprune_core.validation.report import Outcomes, markdown, summarise
    from bioprune_core.validation.run import run_validation

__all__ = [
    "Outcomes",
    "ValidationConfig",
    "chance_of_agreement",
    "datamodelling_scores",
    "markdown",
    "memorisation_scores",
    "reliability",
    "run_validation",
    "summarise",
]

_HOMES = {
    "Outcomes": "report",
    "ValidationConfig": "configuration",
    "chance_of_agreement": "memorisation",
    "datamodelling_scores": "datamodelling",
    "markdown": "report",
    "memorisation_scores": "memorisation",
    "reliability": "memorisation",
    "run_validation": "run",
    "summarise": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
