"""One plain masked-LM loop: subset fine-tuning and pretraining from scratch are two configurations of it.

Names are resolved on first use, so that settings and evidence can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.training.config import Decay, Precision, TrainingConfig
    from bioprune_core.training.convergence import Convergence, PairedChange, Verdict
    from bioprune_core.training.fine_tuning import fine_tune_subset
    from bioprune_core.training.history import TrainingHistory
    from bioprune_core.training.loop import train
    from bioprune_core.training.masking import MaskedTokens, mask_tokens
    from bioprune_core.training.presets import pretraining, pretraining_rate, subset_fine_tuning

__all__ = [
    "Convergence",
    "Decay",
    "MaskedTokens",
    "PairedChange",
    "Precision",
    "TrainingConfig",
    "TrainingHistory",
    "Verdict",
    "fine_tune_subset",
    "mask_tokens",
    "pretraining",
    "pretraining_rate",
    "subset_fine_tuning",
    "train",
]

_HOMES = {
    "Convergence": "convergence",
    "Decay": "config",
    "MaskedTokens": "masking",
    "PairedChange": "convergence",
    "Precision": "config",
    "TrainingConfig": "config",
    "TrainingHistory": "history",
    "Verdict": "convergence",
    "fine_tune_subset": "fine_tuning",
    "mask_tokens": "masking",
    "pretraining": "presets",
    "pretraining_rate": "presets",
    "subset_fine_tuning": "presets",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
