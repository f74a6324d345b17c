"""Pretraining here against a plain transformers Trainer: the same network, sequences and tokens a step.

Rounds take turns, so that whatever else the machine does meets both; figures are pad-free tokens per second
of training: ours with tokenising and a checkpoint at the end, the Trainer's without. The Trainer draws rows
at random and pads to the longest; it has as many rows a step as fill the token budget by their mean length.
It needs accelerate, which BioPrune does not.

python tests/benchmarks/bench_trainer.py [--rounds 3] [--steps 15] [--scale tiny] [--threads 2]
"""

import argparse
import importlib.util
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bioprune_core.jobs.child import STAGE_ENVIRONMENT

# As stages run; read when torch is loaded.
os.environ.update(STAGE_ENVIRONMENT)

import numpy as np
import torch
from real_data import short_rnas
from transformers import DataCollatorForLanguageModeling, EsmTokenizer, Trainer, TrainingArguments

from bioprune_core.models import create_model
from bioprune_core.models.vocabulary import RNA_VOCABULARY
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig, train

_RATE = 1e-3

Seconds = tuple[int, float, float]
"""Pad-free tokens, wall and processor seconds."""


def ours(block: SequenceBlock, scale: str, budget: int, steps: int) -> Seconds:
    """Train here for some steps."""
    model = create_model("rna-fm", scale, "rna", 0)
    config = TrainingConfig(
        token_budget=budget, steps=steps, learning_rate=_RATE, checkpoint_every_steps=steps
    )
    with tempfile.TemporaryDirectory() as folder:
        wall, processor = time.perf_counter(), time.process_time()
        history = train(model, block, config, Path(folder))
        return sum(history.curve.tokens), time.perf_counter() - wall, time.process_time() - processor


class Counting(DataCollatorForLanguageModeling):
    """The library's collator, counting pad-free tokens."""

    seen = 0

    def __call__(self, features: Any, return_tensors: Any = None) -> Any:
        batch = super().__call__(features, return_tensors)
        self.seen += int(batch["attention_mask"].sum())
        return batch


def theirs(block: SequenceBlock, scale: str, budget: int, steps: int) -> Seconds:
    """Train by the library's Trainer for as many steps."""
    model = create_model("rna-fm", scale, "rna", 0)
    tokens = model.tokeniser.encode(block, model.maximum_residues)
    rows = [
        {"input_ids": tokens.tokens[start:end].tolist()}
        for start, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.txt").write_text("\n".join(RNA_VOCABULARY))
        collator = Counting(EsmTokenizer(str(Path(folder) / "vocab.txt")), mlm_probability=0.15)
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=max(1, round(budget / float(np.mean(tokens.lengths)))),
            max_steps=steps,
            learning_rate=_RATE,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(model.network, arguments, collator, rows)
        wall, processor = time.perf_counter(), time.process_time()
        trainer.train()
        return collator.seen, time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print a table, then its rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--budget", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if importlib.util.find_spec("accelerate") is None:
        print("Not measured: the Trainer needs accelerate (pip install accelerate).")
        return
    torch.set_num_threads(arguments.threads)
    block = short_rnas(4000)
    sums = {"ours": np.zeros(3), "trainer": np.zeros(3)}
    for work in (ours, theirs):  # warm
        work(block, arguments.scale, arguments.budget, 2)
    for number in range(arguments.rounds):
        for name, work in (("ours", ours), ("trainer", theirs)):
            found = np.array(work(block, arguments.scale, arguments.budget, arguments.steps))
            sums[name] += found
            print(f"round {number}: {name:8} {found[0] / found[1]:10,.0f} tokens/s", flush=True)
    rows = {
        name: {"tokens_per_s": round(tokens / wall), "tokens_per_processor_s": round(tokens / processor)}
        for name, (tokens, wall, processor) in sums.items()
    }
    ratios = {unit: round(rows["ours"][unit] / rows["trainer"][unit], 2) for unit in rows["ours"]}
    print(json.dumps({**vars(arguments), **rows, "ratio": ratios}))


if __name__ == "__main__":
    main()
