from collections.abc import Callable

import numpy as np
import pytest
import torch

from bioprune_core.models import Architecture, MaskedLanguageModel, create_model
from bioprune_core.sequences.block import SequenceBlock

FAMILIES = {Architecture.RNA_FM: "rna", Architecture.ESM_2: "protein", Architecture.ESM_C: "protein"}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained_like(architecture: Architecture, alphabet: str, seed: int = 5) -> MaskedLanguageModel:
    """A tiny network with every weight, bias and scale away from its initial value, as after training."""
    model = create_model(architecture, "tiny", alphabet, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.1 if parameter.ndim == 1 else 0.04)
    return model


@pytest.fixture(scope="session", params=list(FAMILIES), ids=str)
def model(request: pytest.FixtureRequest) -> MaskedLanguageModel:
    """Each architecture in turn."""
    return trained_like(request.param, FAMILIES[request.param])


@pytest.fixture(scope="session")
def rna_model() -> MaskedLanguageModel:
    return trained_like(Architecture.RNA_FM, "rna")


@pytest.fixture(scope="session")
def esm_c_model() -> MaskedLanguageModel:
    return trained_like(Architecture.ESM_C, "protein")


@pytest.fixture(scope="session")
def make_block() -> Callable[..., SequenceBlock]:
    """Random sequences of a model's alphabet, a few ambiguous letters among them."""

    def make(model: MaskedLanguageModel, count: int, seed: int = 0, longest: int = 90) -> SequenceBlock:
        random = np.random.default_rng(seed)
        letters = list(model.alphabet.residues * 8 + model.alphabet.wildcard)
        lengths = random.integers(1, longest, count, endpoint=True)
        return SequenceBlock.from_strings(["".join(random.choice(letters, length)) for length in lengths])

    return make
