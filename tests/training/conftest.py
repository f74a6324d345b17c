from collections.abc import Callable

import numpy as np
import pytest
import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.models import Architecture, ByteTokeniser, MaskedLanguageModel
from bioprune_core.models.architectures import Dimensions, network_config
from bioprune_core.models.state import build_network
from bioprune_core.models.vocabulary import RNA_VOCABULARY
from bioprune_core.sequences.block import SequenceBlock


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


def minute_model(seed: int = 0, dropout: float = 0.0) -> MaskedLanguageModel:
    """An RNA-FM of width 16 and one layer: a training step takes about 2 ms."""
    config = network_config(Architecture.RNA_FM, Dimensions(16, 1, 2, 32), RNA_VOCABULARY)
    config["hidden_dropout_prob"] = config["attention_probs_dropout_prob"] = dropout
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config)
    tokeniser = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA)
    return MaskedLanguageModel("minute", Architecture.RNA_FM, Alphabet.RNA, network, tokeniser, 1022)


def repetitive_block(count: int, seed: int = 0) -> SequenceBlock:
    """Sequences of 20-60 nt, two thirds of them repeats of AACG, so that there is something to learn."""
    random = np.random.default_rng(seed)
    sequences = []
    for index in range(count):
        length = int(random.integers(20, 60))
        letters = "".join(random.choice(list("ACGU"), size=length))
        sequences.append(letters if index % 3 == 0 else ("AACG" * length)[:length])
    # A lone ambiguous letter in each keeps equal repeats of a length from being one sequence.
    return SequenceBlock.from_strings([f"{s[: i % 15]}N{s[i % 15 + 1 :]}" for i, s in enumerate(sequences)])


@pytest.fixture
def make_model() -> Callable[..., MaskedLanguageModel]:
    return minute_model


@pytest.fixture(scope="session")
def block() -> SequenceBlock:
    return repetitive_block(60)
