"""A network in evaluation mode for as long as something is computed with it."""

from collections.abc import Iterator
from contextlib import contextmanager

from bioprune_core.models.adapter import MaskedLanguageModel

__all__ = ["evaluation_mode"]


@contextmanager
def evaluation_mode(model: MaskedLanguageModel) -> Iterator[None]:
    """Without dropout; in the mode in which it was when the block ends."""
    training = model.network.training
    model.network.eval()
    try:
        yield
    finally:
        model.network.train(training)
