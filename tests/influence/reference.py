"""The method written down plainly: autograd in float64, one sequence at a time, no batches and no pads."""

import copy
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from bioprune_core.hashing import mix_words
from bioprune_core.influence import InfluenceConfig, Objective, TooLong
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import mask_tokens

UNMASKED = InfluenceConfig()


class Reference:
    """Losses and gradients of the head's dense weight, or of other parameters given by name."""

    def __init__(
        self,
        model: MaskedLanguageModel,
        config: InfluenceConfig = UNMASKED,
        parameters: list[str] | None = None,
    ) -> None:
        self.model = copy.deepcopy(model).to("cpu", torch.float64)
        self.model.network.eval()
        self.config = config
        # A tied decoder counts by its use as decoder: nothing flows through the lookup of the embedding.
        decoder = self.model.network.get_output_embeddings()
        decoder.weight = torch.nn.Parameter(decoder.weight.detach().clone())
        known = dict(self.model.network.named_parameters())
        self.parameters = [known[name] for name in parameters or [self.model.head.dense_parameter_name]]
        self.flat = parameters is not None

    def tokens(self, sequence: str) -> torch.Tensor:
        longest = self.model.maximum_residues
        if self.config.objective is Objective.PAPER_CODE:
            longest = min(longest, 1022)
        encoded = self.model.tokeniser.encode(SequenceBlock.from_strings([sequence]), longest)
        return torch.from_numpy(encoded.tokens.astype(np.int64))

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Of one sequence, by the network's own forward pass."""
        tokens = tokens.unsqueeze(0)
        logits: torch.Tensor = self.model.network(
            input_ids=tokens, attention_mask=torch.ones_like(tokens)
        ).logits
        assert logits.dtype == torch.float64
        return logits[0]

    def loss_of_mask(self, sequence: str, draw: int) -> torch.Tensor:
        tokens = self.tokens(sequence)
        masked = mask_tokens(
            tokens.numpy(),
            np.array([0, len(tokens)]),
            SequenceBlock.from_strings([sequence]).hashes,
            residue_ids=self.model.tokeniser.residue_ids,
            mask_id=self.model.tokeniser.mask_id,
            seed=self.config.mask_seed,
            draw=draw,
        )
        targets = torch.from_numpy(masked.targets)
        return cross_entropy(self.logits(torch.from_numpy(masked.inputs))[targets], tokens[targets])

    def windows(self, sequence: str) -> list[str]:
        """The sequence in as few parts as the model takes, of lengths that differ by one at most."""
        length, count = len(sequence), math.ceil(len(sequence) / self.model.maximum_residues)
        return [sequence[part * length // count : (part + 1) * length // count] for part in range(count)]

    def loss_in_windows(self, sequence: str, draw: int | None = None) -> torch.Tensor:
        """Of all predicted tokens of all windows alike: every token, or the targets of mask `draw`."""
        (whole,) = SequenceBlock.from_strings([sequence]).hashes
        losses = []
        for number, window in enumerate(self.windows(sequence), 1):
            inputs = targets = self.tokens(window)
            chosen = torch.ones(len(inputs), dtype=torch.bool)
            if draw is not None:
                masked = mask_tokens(
                    inputs.numpy(),
                    np.array([0, len(inputs)]),
                    mix_words(whole ^ mix_words(np.array([number], dtype=np.uint64))),
                    residue_ids=self.model.tokeniser.residue_ids,
                    mask_id=self.model.tokeniser.mask_id,
                    seed=self.config.mask_seed,
                    draw=draw,
                )
                inputs, chosen = torch.from_numpy(masked.inputs), torch.from_numpy(masked.targets)
            losses.append(cross_entropy(self.logits(inputs)[chosen], targets[chosen], reduction="none"))
        return torch.cat(losses).mean()

    def loss(self, sequence: str) -> torch.Tensor:
        too_long = len(sequence) > self.model.maximum_residues
        if too_long and self.config.too_long is TooLong.WINDOW:
            if self.config.objective is Objective.UNMASKED:
                return self.loss_in_windows(sequence)
            return torch.stack(
                [self.loss_in_windows(sequence, draw) for draw in range(self.config.masks)]
            ).mean()
        if self.config.objective is Objective.MASKED:
            losses = [self.loss_of_mask(sequence, draw) for draw in range(self.config.masks)]
            return torch.stack(losses).mean()
        tokens = self.tokens(sequence)
        if self.config.objective is Objective.PAPER_CODE:
            tokens = self.padded(sequence)
        return cross_entropy(self.logits(tokens), tokens)

    def padded(self, sequence: str) -> torch.Tensor:
        tokens = self.tokens(sequence)
        pads = torch.full((1024 - len(tokens),), self.model.tokeniser.pad_id)
        return torch.cat([tokens, pads])

    def gradient(self, loss: torch.Tensor) -> NDArray[np.float64]:
        gradients: Any = torch.autograd.grad(loss, self.parameters)
        if self.flat:
            return np.concatenate([gradient.numpy().ravel() for gradient in gradients])
        return np.asarray(gradients[0].numpy())

    def gradients(self, block: SequenceBlock) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Losses, shape (n,), and gradients, shape (n, out, in), or (n, P) for parameters given by name."""
        losses, gradients = [], []
        for row in range(len(block)):
            loss = self.loss(block.sequence(row))
            losses.append(loss.item())
            gradients.append(self.gradient(loss))
        return np.array(losses), np.stack(gradients)


def fisher_of(gradients: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((gradients**2).mean(axis=0))


def influence_of(
    gradients: NDArray[np.float64], fisher: NDArray[np.float64], damping: float
) -> NDArray[np.float64]:
    return np.asarray((gradients**2 / (fisher + damping)).reshape(len(gradients), -1).sum(axis=1))
