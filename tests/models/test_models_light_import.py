"""The catalogue can be read where torch must not be loaded, as in the web process."""

import subprocess
import sys

import pytest

from bioprune_core.models import model_catalogue
from bioprune_core.models.catalogue import find_card

SCRIPT = """
import sys
from bioprune_core.models import Architecture, ByteTokeniser, Scale, model_catalogue
from bioprune_core.models.catalogue import ModelCard
from bioprune_core.models.architectures import parameter_count
assert [card.parameters for card in model_catalogue()]
print([name for name in ("torch", "transformers", "huggingface_hub") if name in sys.modules])
"""


def test_the_catalogue_imports_no_torch() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("rna-fm", 99.5),
        ("esm2-8m", 7.5),
        ("esm2-35m", 33.5),
        ("esm2-150m", 148.1),
        ("esm2-650m", 651.0),
        ("esm2-3b", 2839.0),
        ("esm2-15b", 15136.0),
        ("esmc-300m", 333.0),
        ("esmc-600m", 575.0),
        ("ESMC-6B", 6356.0),
    ],
)
def test_cards_know_their_size(name: str, millions: float) -> None:
    card = find_card(name)
    assert card is not None
    assert card.parameters / 1e6 == pytest.approx(millions, rel=0.005)
    assert card.sources[0].repository in card.weights


def test_names_are_unique() -> None:
    names = [card.name for card in model_catalogue()]
    assert len(set(names)) == len(names)
    assert find_card("esm3") is None
