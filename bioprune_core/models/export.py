"""A trained model as a folder of the transformers library."""

import json
import os
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from bioprune_core.errors import ConflictError, ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.saved import os_errors
from bioprune_core.storage import storage_error

__all__ = ["export_transformers"]

# Rounding of two orders of the same float32 sums; a weight that is lost changes logits by far more.
_TOLERANCE = 1e-4


def export_transformers(model: MaskedLanguageModel, directory: Path) -> None:
    """Write a folder that `AutoModelForMaskedLM.from_pretrained` loads, and check that it does.

    Beside weights and configuration it has a vocabulary for `EsmTokenizer`, with a token a letter, but for
    runs of letters that the model does not know, which become one; RNA must be upper case with U before it
    is tokenised.

    Args:
        model: On the CPU or a GPU; not changed.
        directory: Must not exist.

    Raises:
        ConflictError: The folder exists.
        ModelError: What was written gives other tokens or logits than the model.
        StorageError: The disk is full.
    """
    if directory.exists():
        raise ConflictError(f"{directory} exists. Give a folder that does not.")
    part = directory.with_name(f".{directory.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        with os_errors():
            model.network.save_pretrained(part)
        _write_vocabulary(model, part)
        _verify(model, part)
        part.rename(directory)
    except OSError as error:
        raise storage_error(error, directory) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_vocabulary(model: MaskedLanguageModel, directory: Path) -> None:
    tokeniser = model.tokeniser
    tokens = "\n".join(tokeniser.vocabulary)
    (directory / "vocab.txt").write_text(tokens + "\n", encoding="utf-8")
    described = {
        "tokenizer_class": "EsmTokenizer",
        "cls_token": tokeniser.vocabulary[tokeniser.cls_id],
        "pad_token": tokeniser.vocabulary[tokeniser.pad_id],
        "eos_token": tokeniser.vocabulary[tokeniser.eos_id],
        "unk_token": tokeniser.vocabulary[tokeniser.unknown_id],
        "mask_token": tokeniser.vocabulary[tokeniser.mask_id],
        "model_max_length": model.maximum_residues + 2,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(described, indent=2), encoding="utf-8")


def _verify(model: MaskedLanguageModel, directory: Path) -> None:
    loaded, notes = AutoModelForMaskedLM.from_pretrained(
        directory, output_loading_info=True, local_files_only=True
    )
    if missing := sorted(notes["missing_keys"]):
        raise ModelError(f"The exported folder lacks the weights {', '.join(missing[:5])}; it was not kept.")
    device, training = model.device, model.network.training
    tokeniser = model.tokeniser
    ids = [tokeniser.cls_id, *tokeniser.residue_ids.tolist(), tokeniser.eos_id]
    written = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    if (found := written(model.alphabet.residues)["input_ids"]) != ids:
        raise ModelError(
            f"The exported tokeniser reads {model.alphabet.residues} as {found}, the model's own as {ids}, "
            "so it was not kept. The vocabulary is none that the library's EsmTokenizer can hold."
        )
    tokens = torch.tensor([ids], device=device)
    mask = torch.ones_like(tokens)
    loaded = loaded.to(device, next(model.network.parameters()).dtype).eval()
    with torch.inference_mode():
        model.network.eval()
        own = model.network(input_ids=tokens, attention_mask=mask).logits
        other = loaded(input_ids=tokens, attention_mask=mask).logits
        model.network.train(training)
    if not torch.allclose(own.float(), other.float(), atol=_TOLERANCE, rtol=_TOLERANCE):
        difference = (own - other).abs().max().item()
        raise ModelError(
            f"The exported folder gives logits that differ by up to {difference:.2g}, so it was not kept. "
            "The installed version of transformers may rename weights: use the one of requirements.txt."
        )
