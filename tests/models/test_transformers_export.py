"""What is exported is what transformers loads."""

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForMaskedLM, AutoTokenizer

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ConflictError, ModelError, StorageError
from bioprune_core.models import create_model
from bioprune_core.models.export import export_transformers
from bioprune_core.sequences.block import SequenceBlock


@pytest.mark.parametrize(
    ("architecture", "alphabet", "text"),
    [
        ("rna-fm", Alphabet.RNA, "ACGUNACG"),
        ("esm-2", Alphabet.PROTEIN, "MKVLWAXC"),
        ("esm-c", Alphabet.PROTEIN, "MKVLWAXC"),
    ],
)
def test_from_pretrained_gives_the_same_logits_for_the_same_text(
    tmp_path: Path, architecture: str, alphabet: Alphabet, text: str
) -> None:
    model = create_model(architecture, "tiny", alphabet, 0)
    with torch.no_grad():  # norms and biases away from their initial ones and zeros
        for parameter in model.network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    export_transformers(model, tmp_path / "out")
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path / "out").eval()
    tokeniser = AutoTokenizer.from_pretrained(tmp_path / "out")
    given = tokeniser(text, return_tensors="pt")
    own = model.tokeniser.encode(SequenceBlock.from_strings([text]), model.maximum_residues)
    assert given["input_ids"][0].tolist() == own.tokens.tolist()
    with torch.inference_mode():
        expected = model.network.eval()(**given).logits
        torch.testing.assert_close(loaded(**given).logits, expected, atol=1e-4, rtol=1e-4)
    assert tokeniser.mask_token_id == model.tokeniser.mask_id
    with pytest.raises(ConflictError, match="exists"):
        export_transformers(model, tmp_path / "out")


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = create_model("rna-fm", "tiny", Alphabet.RNA, 0)

    def save(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(model.network, "save_pretrained", save)
    with pytest.raises(StorageError, match=r"No space left on the disk that holds .*out\. Free some space"):
        export_transformers(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_not_the_model_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = create_model("rna-fm", "tiny", Alphabet.RNA, 0)
    other = create_model("rna-fm", "tiny", Alphabet.RNA, 1)
    monkeypatch.setattr(model.network, "save_pretrained", other.network.save_pretrained)
    with pytest.raises(ModelError, match="differ by up to"):
        export_transformers(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
