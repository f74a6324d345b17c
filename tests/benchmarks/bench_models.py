"""Speed of tokenising, batch planning, and of loading a model of RNA-FM's size from an official file.

Run by hand: python tests/benchmarks/bench_models.py
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import EsmTokenizer

from bioprune_core.alphabet import Alphabet
from bioprune_core.models import ByteTokeniser, load_model, pad_batch, plan_batches, save_model
from bioprune_core.models.vocabulary import RNA_VOCABULARY
from bioprune_core.sequences.block import SequenceBlock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
from official_layouts import rna_fm_state

SEQUENCES = 100_000


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The fastest of a few runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def tokenising(folder: Path) -> dict[str, float]:
    lengths = np.random.default_rng(0).integers(30, 400, SEQUENCES)
    blob = np.frombuffer(b"ACGU", np.uint8)[np.random.default_rng(1).integers(0, 4, lengths.sum())]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    block = SequenceBlock(blob, offsets, np.zeros(SEQUENCES, np.uint64), np.arange(SEQUENCES))
    tokeniser = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA)
    fusing = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA, fuses_unknown=True)
    (folder / "vocab.txt").write_text("\n".join(RNA_VOCABULARY))
    official = EsmTokenizer(str(folder / "vocab.txt"))
    some = [block.sequence(index) for index in range(500)]
    tokens = tokeniser.encode(block, 1022)
    batches = plan_batches(tokens.lengths, 8192)
    own = seconds(lambda: tokeniser.encode(block, 1022))
    return {
        "encode, sequences/s": SEQUENCES / own,
        "encode cutting at 300, sequences/s": SEQUENCES / seconds(lambda: tokeniser.encode(block, 300)),
        "encode fusing unknowns, sequences/s": SEQUENCES / seconds(lambda: fusing.encode(block, 1022)),
        "transformers tokeniser, sequences/s": len(some) / seconds(lambda: official(some)),
        "plan 100,000 sequences, ms": 1000 * seconds(lambda: plan_batches(tokens.lengths, 8192)),
        "pad all batches, sequences/s": SEQUENCES
        / seconds(lambda: [pad_batch(tokens, rows, tokeniser.pad_id) for rows in batches]),
    }


def loading(folder: Path) -> dict[str, float]:
    torch.save(
        {"args": argparse.Namespace(attention_heads=20), "model": rna_fm_state(640, 12, 5120)},
        folder / "RNA-FM_pretrained.pth",
    )
    model = load_model(folder / "RNA-FM_pretrained.pth")
    save_model(model, folder / "saved")
    return {
        "parameters, M": model.parameters / 1e6,
        "load official .pth, s": seconds(lambda: load_model(folder / "RNA-FM_pretrained.pth")),
        "load saved, s": seconds(lambda: load_model(folder / "saved")),
        "save, s": seconds(lambda: save_model(model, folder / "saved")),
        "content hash, s": seconds(lambda: model.content_hash),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        figures = {**tokenising(Path(name)), **loading(Path(name))}
    for what, figure in figures.items():
        print(f"{what:40} {figure:14,.2f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
