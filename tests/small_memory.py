"""A network that has no memory for large batches."""

from typing import Any

import pytest
import torch

from bioprune_core.models import MaskedLanguageModel


def shrink_memory(model: MaskedLanguageModel, most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the network fail above so many tokens; gives the numbers of tokens that failed."""
    failed: list[int] = []
    backbone = model.network.base_model
    forward = backbone.forward

    def small(*args: Any, **arguments: Any) -> Any:
        size = arguments["attention_mask"].shape[0] * arguments["attention_mask"].shape[-1]
        if size > most:
            failed.append(size)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(*args, **arguments)

    monkeypatch.setattr(backbone, "forward", small)
    return failed
