"""Masked language models: loading, converting, making from scratch, tokenising, batching.

Names are resolved on first use, so that the catalogue can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.models.adapter import MaskedLanguageModel
    from bioprune_core.models.architectures import Architecture, Scale
    from bioprune_core.models.batching import TokenBatch, pad_batch, plan_batches
    from bioprune_core.models.catalogue import ModelCard, model_catalogue
    from bioprune_core.models.head import LanguageModelHead
    from bioprune_core.models.loading import load_model
    from bioprune_core.models.saved import save_model
    from bioprune_core.models.scratch import create_model
    from bioprune_core.models.tokeniser import ByteTokeniser, TokenBlock

__all__ = [
    "Architecture",
    "ByteTokeniser",
    "LanguageModelHead",
    "MaskedLanguageModel",
    "ModelCard",
    "Scale",
    "TokenBatch",
    "TokenBlock",
    "create_model",
    "load_model",
    "model_catalogue",
    "pad_batch",
    "plan_batches",
    "save_model",
]

_HOMES = {
    "Architecture": "architectures",
    "ByteTokeniser": "tokeniser",
    "LanguageModelHead": "head",
    "MaskedLanguageModel": "adapter",
    "ModelCard": "catalogue",
    "Scale": "architectures",
    "TokenBatch": "batching",
    "TokenBlock": "tokeniser",
    "create_model": "scratch",
    "load_model": "loading",
    "model_catalogue": "catalogue",
    "pad_batch": "batching",
    "plan_batches": "batching",
    "save_model": "saved",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
