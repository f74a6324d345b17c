from collections.abc import Callable

import numpy as np
import pytest
import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.models import Architecture, ByteTokeniser, MaskedLanguageModel
from bioprune_core.models.architectures import Dimensions, network_config
from bioprune_core.models.state import build_network
from bioprune_core.models.vocabulary import RNA_VOCABULARY


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


def minute_model(seed: int = 0) -> MaskedLanguageModel:
    """An RNA-FM of width 32 and two layers with random weights."""
    config = network_config(Architecture.RNA_FM, Dimensions(32, 2, 4, 64), RNA_VOCABULARY)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config)
        with torch.no_grad():  # so that states depend on neighbours, as trained ones do
            for parameter in network.parameters():
                parameter.mul_(3.0) if parameter.ndim > 1 else None
    tokeniser = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA)
    return MaskedLanguageModel("minute", Architecture.RNA_FM, Alphabet.RNA, network, tokeniser, 64)


@pytest.fixture
def make_model() -> Callable[..., MaskedLanguageModel]:
    return minute_model


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)
