"""Tokens per second of training from scratch, by length multiple and token budget, on real RNAs.

Candidates take turns step by step, so that whatever else the machine does meets all; figures are pad-free
tokens per second of wall and of processor time.

python tests/benchmarks/bench_training.py [--steps 20] [--scale tiny] [--threads 1]
"""

import argparse
import json
import time

import torch
from real_data import short_rnas

from bioprune_core.models import create_model
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig
from bioprune_core.training.batches import Corpus, training_batches
from bioprune_core.training.measure import batch_loss
from bioprune_core.training.optimisation import make_optimiser

_MULTIPLES = (1, 8, 16, 32, 64)
_BUDGETS = (2048, 8192)


class Candidate:
    """One training that is stepped by hand."""

    def __init__(self, block: SequenceBlock, scale: str, budget: int, multiple: int, steps: int) -> None:
        self.name = f"budget {budget}, multiple {multiple}"
        self.config = TrainingConfig(token_budget=budget, length_multiple=multiple, steps=steps + 2)
        self.model = create_model("rna-fm", scale, "rna", 0)
        self.model.network.train()
        self.optimiser = make_optimiser(self.model.network, self.config)
        corpus = Corpus.of(block, self.model, "sample")
        self.batches = training_batches(corpus, self.model.tokeniser, self.config, 0, steps + 2)
        self.tokens, self.wall, self.processor = 0, 0.0, 0.0

    def step(self, *, count: bool) -> None:
        """One optimiser step, added to the figures where it counts."""
        wall, processor = time.perf_counter(), time.process_time()
        (batch,) = next(self.batches)
        batch_loss(self.model, batch).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.network.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if count:
            self.tokens += batch.real_tokens
            self.wall += time.perf_counter() - wall
            self.processor += time.process_time() - processor


def main() -> None:
    """Print a table, then its rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    block = short_rnas(4000)
    candidates = [
        Candidate(block, arguments.scale, budget, multiple, arguments.steps)
        for budget in _BUDGETS
        for multiple in _MULTIPLES
    ]
    for number in range(arguments.steps + 2):
        for candidate in candidates:
            candidate.step(count=number >= 2)
    rows = []
    for candidate in candidates:
        rates = [round(candidate.tokens / seconds) for seconds in (candidate.wall, candidate.processor)]
        print(f"{candidate.name:30} {rates[0]:8,} tokens/s {rates[1]:8,} tokens/s of processor time")
        rows.append({"name": candidate.name, "tokens_per_s": rates[0], "tokens_per_processor_s": rates[1]})
    print(json.dumps({"scale": arguments.scale, "threads": arguments.threads, "rows": rows}))


if __name__ == "__main__":
    main()
