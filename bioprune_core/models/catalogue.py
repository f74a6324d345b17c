"""The published models that can be loaded by name. Imports no torch."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import UnknownModelError
from bioprune_core.models.architectures import Architecture, Dimensions, network_config, parameter_count
from bioprune_core.models.vocabulary import ESM2_VOCABULARY, ESMC_VOCABULARY, RNA_VOCABULARY

__all__ = ["ModelCard", "Source", "check_model_name", "find_card", "is_hub_id", "model_catalogue"]

# Neither part begins with a full stop: "models/.." is a path.
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True, slots=True)
class Source:
    """One place on the Hugging Face hub that has the weights.

    Args:
        repository: "owner/name" on the hub.
        files: What to fetch, as patterns.
    """

    repository: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A published model.

    Args:
        name: What `load_model` takes.
        architecture: Its family.
        alphabet: The residues that it models.
        size: Its dimensions.
        sources: Where its weights are, the preferred first.
    """

    name: str
    architecture: Architecture
    alphabet: Alphabet
    size: Dimensions
    sources: tuple[Source, ...]

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""
        vocabulary = {
            Architecture.RNA_FM: RNA_VOCABULARY,
            Architecture.ESM_2: ESM2_VOCABULARY,
            Architecture.ESM_C: ESMC_VOCABULARY,
        }[self.architecture]
        return parameter_count(network_config(self.architecture, self.size, vocabulary))

    @property
    def width(self) -> int:
        """Hidden size."""
        return self.size.width

    @property
    def layers(self) -> int:
        """Transformer layers."""
        return self.size.layers

    @property
    def weights(self) -> str:
        """Where to get the weights, as a sentence part."""
        return " or ".join(f"{source.repository} ({', '.join(source.files)})" for source in self.sources)


# Safetensors only: the library would otherwise fetch the same weights again as a pickle.
_FOLDER = (
    "config.json",
    "vocab.txt",
    "tokenizer*.json",
    "special_tokens_map.json",
    "*.safetensors",
    "*.index.json",
)


def _esm2(name: str, repository: str, size: Dimensions) -> ModelCard:
    return ModelCard(
        name, Architecture.ESM_2, Alphabet.PROTEIN, size, (Source(f"facebook/{repository}", _FOLDER),)
    )


def _esmc(name: str, sources: tuple[Source, ...], size: Dimensions) -> ModelCard:
    return ModelCard(name, Architecture.ESM_C, Alphabet.PROTEIN, size, sources)


def _older_esmc(size: str) -> Source:
    return Source(f"EvolutionaryScale/esmc-{size}-2024-12", (f"data/weights/esmc_{size}_2024_12_v0.pth",))


_CARDS = (
    ModelCard(
        "rna-fm",
        Architecture.RNA_FM,
        Alphabet.RNA,
        Dimensions(640, 12, 20, 5120),
        (Source("cuhkaih/rnafm", ("RNA-FM_pretrained.pth",)),),
    ),
    _esm2("esm2-8m", "esm2_t6_8M_UR50D", Dimensions(320, 6, 20, 1280)),
    _esm2("esm2-35m", "esm2_t12_35M_UR50D", Dimensions(480, 12, 20, 1920)),
    _esm2("esm2-150m", "esm2_t30_150M_UR50D", Dimensions(640, 30, 20, 2560)),
    _esm2("esm2-650m", "esm2_t33_650M_UR50D", Dimensions(1280, 33, 20, 5120)),
    _esm2("esm2-3b", "esm2_t36_3B_UR50D", Dimensions(2560, 36, 40, 10240)),
    _esm2("esm2-15b", "esm2_t48_15B_UR50D", Dimensions(5120, 48, 40, 20480)),
    _esmc(
        "esmc-300m", (Source("biohub/ESMC-300M", _FOLDER), _older_esmc("300m")), Dimensions(960, 30, 15, 2560)
    ),
    _esmc(
        "esmc-600m",
        (Source("biohub/ESMC-600M", _FOLDER), _older_esmc("600m")),
        Dimensions(1152, 36, 18, 3072),
    ),
    _esmc("esmc-6b", (Source("biohub/ESMC-6B", _FOLDER),), Dimensions(2560, 80, 40, 6912)),
)


def model_catalogue() -> list[ModelCard]:
    """The published models that `load_model` knows by name."""
    return list(_CARDS)


def find_card(name: str) -> ModelCard | None:
    """The card of a name, in any case; None where there is none."""
    return next((card for card in _CARDS if card.name == name.lower()), None)


def is_hub_id(name: str) -> bool:
    """Whether a name has the form of an id of the Hugging Face hub: "owner/name"."""
    return _HUB_ID.fullmatch(name) is not None


def check_model_name(name: str, others: Iterable[str] = ()) -> None:
    """Check that a model can go by this name: one of the catalogue, or the form of a hub id ("owner/name").

    Args:
        name: What was asked for.
        others: Names that could have been meant beside those of the catalogue.

    Raises:
        UnknownModelError: It is neither; names those that there are.
    """
    if find_card(name) is not None or is_hub_id(name):
        return
    names = [*others, *(known.name for known in model_catalogue())]
    close = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UnknownModelError(
        f"There is no model {name}: it is no existing path and none of the known names "
        f"{', '.join(names)}.{hint}"
    )
