"""Measuring a model on downstream tasks: a probe on frozen features, or full fine-tuning.

Names are resolved on first use, so that settings can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.evaluation.measuring import Evaluation, evaluate
    from bioprune_core.evaluation.protocol import (
        FINE_TUNE_VERSION,
        PROBE_VERSION,
        FineTuneSettings,
        Method,
        Pooling,
        ProbeSettings,
        Protocol,
        published_fine_tuning,
    )

__all__ = [
    "FINE_TUNE_VERSION",
    "PROBE_VERSION",
    "Evaluation",
    "FineTuneSettings",
    "Method",
    "Pooling",
    "ProbeSettings",
    "Protocol",
    "evaluate",
    "published_fine_tuning",
]

_SETTINGS = "protocol"
_HOMES = {
    "FINE_TUNE_VERSION": _SETTINGS,
    "PROBE_VERSION": _SETTINGS,
    "Evaluation": "measuring",
    "FineTuneSettings": _SETTINGS,
    "Method": _SETTINGS,
    "Pooling": _SETTINGS,
    "ProbeSettings": _SETTINGS,
    "Protocol": _SETTINGS,
    "evaluate": "measuring",
    "published_fine_tuning": _SETTINGS,
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
