"""A trained model as a folder of the transformers library."""

import json
import os
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM

from bioprune_core.errors import ConflictError, ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.saved import os_errors
from bioprune_core.models.vocabulary import CLS, EOS, MASK, PAD, UNKNOWN
from bioprune_core.storage import storage_error

__all__ = ["export_transformers"]

# Rounding of two orders of the same float32 sums; a weight that is lost changes logits by far more.
_TOLERANCE = 1e-4


def export_transformers(model: MaskedLanguageModel, directory: Path) -> None:
    """Write a folder that `AutoModelForMaskedLM.from_pretrained` loads, and check that it does.

    Beside weights and configuration it has a vocabulary for `EsmTokenizer`, with a token a letter; RNA must
    be upper case with U before it is tokenised.

    Args:
        model: On the CPU or a GPU; not changed.
        directory: Must not exist.

    Raises:
        ConflictError: The folder exists.
        ModelError: What was written gives other logits than the model.
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
    tokens = "\n".join(model.tokeniser.vocabulary)
    (directory / "vocab.txt").write_text(tokens + "\n", encoding="utf-8")
    described = {
        "tokenizer_class": "EsmTokenizer",
        "cls_token": CLS,
        "pad_token": PAD,
        "eos_token": EOS,
        "unk_token": UNKNOWN,
        "mask_token": MASK,
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
    residues = torch.tensor(list(model.tokeniser.residue_ids), device=device)
    ends = [residues.new_tensor([number]) for number in (model.tokeniser.cls_id, model.tokeniser.eos_id)]
    tokens = torch.cat([ends[0], residues, ends[1]])[None]
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
