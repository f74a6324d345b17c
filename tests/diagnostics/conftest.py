from collections.abc import Callable

import numpy as np
import pytest
import torch

from bioprune_core.models import MaskedLanguageModel, create_model
from bioprune_core.sequences.block import SequenceBlock


@pytest.fixture(scope="session")
def rna_model() -> MaskedLanguageModel:
    """A tiny network with every weight away from its initial value, as after training."""
    model = create_model("rna-fm", "tiny", "rna", 5)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.1 if parameter.ndim == 1 else 0.04)
    return model


@pytest.fixture(scope="session")
def make_rna() -> Callable[..., SequenceBlock]:
    def make(count: int, seed: int = 0, longest: int = 40) -> SequenceBlock:
        random = np.random.default_rng(seed)
        lengths = random.integers(5, longest, count, endpoint=True)
        return SequenceBlock.from_strings(["".join(random.choice(list("ACGU"), n)) for n in lengths])

    return make
