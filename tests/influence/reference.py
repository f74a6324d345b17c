"""The method written down plainly: autograd in float64, one sequence at a time, no batches and no pads."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock


class Reference:
    def __init__(self, model: MaskedLanguageModel) -> None:
        self.model = copy.deepcopy(model).to("cpu", torch.float64)
        self.model.network.eval()

    def loss_and_gradient(self, sequence: str) -> tuple[float, NDArray[np.float64]]:
        """L_i and g_i by the network's own forward pass, the tokeniser and autograd."""
        block = SequenceBlock.from_strings([sequence])
        encoded = self.model.tokeniser.encode(block, self.model.maximum_residues)
        tokens = torch.from_numpy(encoded.tokens.astype(np.int64)).unsqueeze(0)
        logits = self.model.network(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
        assert logits.dtype == torch.float64
        loss = torch.nn.functional.cross_entropy(logits[0], tokens[0])
        weight = dict(self.model.network.named_parameters())[self.model.head.dense_parameter_name]
        (gradient,) = torch.autograd.grad(loss, weight)
        return loss.item(), gradient.numpy()

    def gradients(self, block: SequenceBlock) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Losses, shape (n,), and gradients, shape (n, out, in)."""
        pairs = [self.loss_and_gradient(block.sequence(row)) for row in range(len(block))]
        return np.array([loss for loss, _ in pairs]), np.stack([gradient for _, gradient in pairs])


def fisher_of(gradients: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((gradients**2).mean(axis=0))


def influence_of(
    gradients: NDArray[np.float64], fisher: NDArray[np.float64], damping: float
) -> NDArray[np.float64]:
    return np.asarray((gradients**2 / (fisher + damping)).sum(axis=(1, 2)))
