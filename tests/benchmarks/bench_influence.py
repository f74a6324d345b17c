"""Throughput of scoring (Fisher given, embeddings too) next to the forward pass alone on the same batches.

The two take turns batch by batch, so that whatever else the machine does meets both; figures are medians
over the repeats. Sequences are a seeded sample of real RNAs up to 1,022 nt.

python tests/benchmarks/bench_influence.py [--sequences 2000] [--repeats 3] [--model rna-fm-full] [--json F]
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from real_data import rnas

from bioprune_core.influence import InfluenceConfig, accumulate_fisher, fisher_diagonal, score_block
from bioprune_core.models import (
    Architecture,
    MaskedLanguageModel,
    Scale,
    create_model,
    load_model,
    pad_batch,
    plan_batches,
)
from bioprune_core.sequences.block import SequenceBlock


@dataclass(frozen=True, slots=True)
class Measured:
    """One repeat over all sequences: seconds on the clock and of the processors, forward pass and scoring."""

    forward_s: float
    score_s: float
    forward_cpu_s: float
    score_cpu_s: float


def open_model(name: str, device: str) -> MaskedLanguageModel:
    """ "<architecture>-<scale>" with random weights, otherwise what `load_model` takes."""
    for architecture in Architecture:
        for scale in Scale:
            if name == f"{architecture}-{scale}":
                alphabet = "rna" if architecture is Architecture.RNA_FM else "protein"
                return create_model(architecture, scale, alphabet, seed=0).to(device)
    return load_model(name, device)


def timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds on the clock and of the processors."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - clock, time.process_time() - cpu


def measure(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    batches: list[NDArray[np.int64]],
    fisher: NDArray[np.float64],
    config: InfluenceConfig,
    repeat: int,
) -> Measured:
    """One repeat. Which of the two goes first alternates from batch to batch and from repeat to repeat."""

    @torch.inference_mode()
    def forward(part: SequenceBlock) -> None:
        tokens = model.tokeniser.encode(part, model.maximum_residues)
        batch = pad_batch(tokens, np.arange(len(part)), model.tokeniser.pad_id).to(model.device)
        model.logits(batch.tokens, batch.attention_mask)

    totals = np.zeros((2, 2))
    for index, rows in enumerate(batches):
        part = block.take(rows)
        works = [lambda part=part: forward(part), lambda part=part: score_block(model, part, fisher, config)]
        for which in (0, 1) if (index + repeat) % 2 else (1, 0):
            totals[which] += timed(works[which], model.device)
    return Measured(totals[0, 0], totals[1, 0], totals[0, 1], totals[1, 1])


def machine(device: torch.device) -> dict[str, object]:
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else str(device),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="rna-fm-full", help="architecture-scale, or a name or path")
    parser.add_argument("--token-budget", type=int, default=InfluenceConfig().batch_tokens)
    parser.add_argument("--threads", type=int, help="all cores when not given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    config = InfluenceConfig(token_budget=given.token_budget)
    model = open_model(given.model, given.device)
    state = machine(model.device)
    block = rnas(given.sequences)
    tokens = model.tokeniser.encode(block, model.maximum_residues)
    batches = plan_batches(tokens.lengths, config.token_budget)
    fisher = fisher_diagonal([accumulate_fisher(model, block.take(np.arange(min(32, len(block)))), config)])

    total = int(tokens.lengths.sum())
    print(f"{model}, {given.device}, {state['processor']}, {state['threads']} threads, load {state['load']}")
    print(
        f"{len(block):,} sequences, {total / len(block):.0f} tokens each on average, {len(batches)} batches"
    )
    print(
        f"{'repeat':>8} {'forward seq/s':>14} {'score seq/s':>12} {'score tok/s':>12} "
        f"{'share':>8} {'cpu share':>10}"
    )
    repeats = []
    for repeat in range(given.repeats):
        one = measure(model, block, batches, fisher, config, repeat)
        repeats.append(one)
        print_row(str(repeat + 1), one, len(block), total)
    median = Measured(
        *(statistics.median(getattr(one, name) for one in repeats) for name in Measured.__dataclass_fields__)
    )
    print_row("median", median, len(block), total)
    figures = {
        "machine": state,
        "model": {"name": model.name, "parameters": model.parameters, "width": model.head.dense.in_features},
        "sequences": len(block),
        "tokens": total,
        "token_budget": config.token_budget,
        "forward_sequences_per_s": len(block) / median.forward_s,
        "score_sequences_per_s": len(block) / median.score_s,
        "score_tokens_per_s": total / median.score_s,
        "share_of_forward": statistics.median(one.forward_s / one.score_s for one in repeats),
        "share_of_forward_cpu_time": statistics.median(
            one.forward_cpu_s / one.score_cpu_s for one in repeats
        ),
        "repeats": [asdict(one) for one in repeats],
    }
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def print_row(name: str, one: Measured, sequences: int, tokens: int) -> None:
    print(
        f"{name:>8} {sequences / one.forward_s:>14.2f} {sequences / one.score_s:>12.2f} "
        f"{tokens / one.score_s:>12,.0f} {one.forward_s / one.score_s:>8.1%} "
        f"{one.forward_cpu_s / one.score_cpu_s:>10.1%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
