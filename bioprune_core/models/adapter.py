"""The one interface through which training and influence see a masked language model."""

import hashlib
import json
from typing import Any

import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.models.architectures import Architecture
from bioprune_core.models.head import HeadLayout, LanguageModelHead, find_head, head_at, verified_head
from bioprune_core.models.network_head import NetworkHead, NetworkHeadLayout
from bioprune_core.models.state import describe_network, unique_state
from bioprune_core.models.tokeniser import ByteTokeniser

__all__ = ["MaskedLanguageModel"]


class MaskedLanguageModel:
    """A masked language model with its tokeniser and its head.

    Args:
        name: What the model is called in reports.
        architecture: Its family.
        alphabet: The residues that it models.
        network: The transformers module; its backbone's last hidden state is the head's input.
        tokeniser: From sequences to token ids.
        maximum_residues: Longest sequence that the network takes, without cls and eos.

    Raises:
        ModelError: The head of the network is none that can be applied to the backbone's output.
    """

    def __init__(
        self,
        name: str,
        architecture: Architecture,
        alphabet: Alphabet,
        network: Any,
        tokeniser: ByteTokeniser,
        maximum_residues: int,
    ) -> None:
        self.name = name
        self.architecture = architecture
        self.alphabet = alphabet
        self.network = network
        self.tokeniser = tokeniser
        self.maximum_residues = maximum_residues
        self.head_layout: HeadLayout | NetworkHeadLayout = find_head(network)
        if architecture is Architecture.AUTO or isinstance(self.head_layout, NetworkHeadLayout):
            ids = [tokeniser.cls_id, *tokeniser.residue_ids.tolist(), tokeniser.eos_id]
            tokens = torch.tensor([ids], device=self.device)
            self.head_layout = verified_head(network.eval(), self.head_layout, tokens)

    def __repr__(self) -> str:
        millions = self.parameters / 1e6
        return f"MaskedLanguageModel({self.name!r}, {self.architecture}, {self.alphabet}, {millions:.1f} M)"

    @property
    def head(self) -> LanguageModelHead | NetworkHead:
        """The head; its tensors are the network's own."""
        return head_at(self.network, self.head_layout)

    @property
    def parameters(self) -> int:
        """How many parameters the network has; tied ones count once."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device = next(self.network.parameters()).device
        assert isinstance(device, torch.device)
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        dtype = next(self.network.parameters()).dtype
        assert isinstance(dtype, torch.dtype)
        return dtype

    @property
    def content_hash(self) -> str:
        """Hexadecimal SHA-256 of configuration, vocabulary and weights as they are now.

        Reads every weight: about 1 s for 100 M parameters. Independent of the device and of the name.
        """
        digest = hashlib.sha256(json.dumps(self.description(), sort_keys=True).encode())
        state = unique_state(self.network)
        for key in sorted(state):
            tensor = state[key]
            digest.update(f"\n{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
            digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def description(self) -> dict[str, Any]:
        """Everything but the name and the weights, as JSON values."""
        return {
            "architecture": self.architecture.value,
            "alphabet": self.alphabet.value,
            "maximum_residues": self.maximum_residues,
            "tokeniser": self.tokeniser.description(),
            "network": describe_network(self.network.config),
        }

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "MaskedLanguageModel":
        """Move the network, in place, and optionally change the type of its weights.

        Buffers keep their type: bfloat16 would leave the rotary frequencies 8 bits, and far positions would
        turn by whole radians.
        """
        self.network.to(device)
        if dtype is not None:
            for parameter in self.network.parameters():
                parameter.data = parameter.data.to(dtype)
        return self

    @property
    def pads_are_alike(self) -> bool:
        """Whether all pads behind a sequence have the same hidden state when they are attended to.

        So in the ESM networks with absolute positions, which give all pads one position.
        """
        config = self.network.config
        return bool(
            config.model_type == "esm" and getattr(config, "position_embedding_type", None) == "absolute"
        )

    def network_arguments(
        self, tokens: torch.Tensor, attention_mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """What the network and its backbone are called with.

        Args:
            tokens: Token ids, int64, shape (B, T).
            attention_mask: True at real tokens, bool, shape (B, T); or, for networks whose `pads_are_alike`,
                what is added to the attention scores of each key, float, shape (B, 1, 1, T). With the latter
                tokens are embedded as under a mask of ones: the network multiplies its embedding by the mask,
                and counts in it the tokens by which it rescales where it drops mask tokens.
        """
        if attention_mask.ndim == 2:
            # Some architectures compute with the mask, which booleans do not allow.
            return {"input_ids": tokens, "attention_mask": attention_mask.long()}
        # A mask of four dimensions reaches the attention as it is, but the embedding wants one of two.
        embedded = self.network.base_model.embeddings(input_ids=tokens)
        return {"inputs_embeds": embedded, "attention_mask": attention_mask.to(embedded.dtype)}

    def hidden_states(self, tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The backbone's output, which is the head's input. The head is not run.

        Args:
            tokens: Token ids, int64, shape (B, T).
            attention_mask: As for `network_arguments`. Never optional: without it a padded row's logits move
                by tens.

        Returns:
            Shape (B, T, d). Rows at pads carry no meaning.
        """
        output = self.network.base_model(**self.network_arguments(tokens, attention_mask))
        hidden = output.last_hidden_state
        assert isinstance(hidden, torch.Tensor)
        return hidden

    def layer_states(self, tokens: torch.Tensor, attention_mask: torch.Tensor) -> list[torch.Tensor]:
        """The embedding and the output of every layer; the last one is that of `hidden_states`.

        Args as for `hidden_states`.

        Returns:
            Layers + 1 tensors of shape (B, T, d).
        """
        arguments = self.network_arguments(tokens, attention_mask)
        output = self.network.base_model(**arguments, output_hidden_states=True)
        # Architectures differ in whether the last of these has passed the final LayerNorm.
        return [*output.hidden_states[:-1], output.last_hidden_state]

    def logits(self, tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The head's output, shape (B, T, V), of tokens and mask as in `hidden_states`."""
        return self.head(self.hidden_states(tokens, attention_mask))
