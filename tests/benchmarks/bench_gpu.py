"""The influence engine on one GPU: the rows of bench_engine.py, model-flops utilisation, hours to come.

All rows in one process, which has loaded torch and the model once, since torch counts a GPU's memory. They
take turns, and every repeat starts with another; each is done twice and timed the second time. RNAs are a
sample of the same mix of lengths as the whole file, proteins those of yeast. Weights are random.

Utilisation is of the dense bf16 peak by the vendor's data sheet: 2 operations a weight and token of every
linear layer, 4 x layers x width for every pair of tokens of a sequence, and what the head's gradients take;
pads and what is computed twice do not count.

python tests/benchmarks/bench_gpu.py [--repeats 3] [--models rna-fm-full esm-c-600m] [--json F]
"""

import argparse
import gzip
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from bench_engine import work_of
from bench_influence import machine, open_model
from memory_pool import MemoryPool
from real_data import PROTEINS, RNAS, needed, rnas
from scipy.stats import spearmanr

from bioprune_core.alphabet import Alphabet
from bioprune_core.influence import (
    InfluenceConfig,
    Precision,
    accumulate_fisher,
    fisher_diagonal,
    run_scores,
    score_block,
)
from bioprune_core.influence.plan import settled_on_device
from bioprune_core.models import Architecture, MaskedLanguageModel
from bioprune_core.models.architectures import Dimensions, network_config
from bioprune_core.models.state import build_network
from bioprune_core.models.tokeniser import ByteTokeniser
from bioprune_core.models.vocabulary import ESMC_VOCABULARY
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import Precision as TrainingPrecision
from bioprune_core.training.throughput import peak_flops

ESM_C_600M = Dimensions(width=1152, layers=36, heads=18, feed_forward=3072)
# Rows that keep what a backward pass needs, or 1,024 tokens of every sequence, take smaller batches.
BUDGETS = {"all-linear": 16_384, "training-step": 16_384}
BUDGET = 131_072
# Row, sequences; few where a sequence takes long.
ROWS = {
    "rna-fm-full": {
        "reference": 32,
        "forward": 1024,
        "head": 1024,
        "head-kept": 1024,
        "forward-bf16": 8000,
        "head-bf16": 8000,
        "all-linear": 1024,
        "training-step": 1024,
    },
    "esm-c-600m": {"forward-bf16": 2000, "head-bf16": 2000},
}
ONE_PASS = ("all-linear", "training-step")
# The paper's pools.
POOLS = {"rna-fm-full": (23e6, "23 M RNAs"), "esm-c-600m": (2.78e9, "2.78 billion proteins")}


def model_of(name: str) -> MaskedLanguageModel:
    """A model on the GPU; the published ESM-C 600M is none of the scales."""
    with torch.device("cuda"):
        if name != "esm-c-600m":
            return open_model(name, "cuda")
        config = network_config(Architecture.ESM_C, ESM_C_600M, ESMC_VOCABULARY)
        tokeniser = ByteTokeniser.from_vocabulary(ESMC_VOCABULARY, Alphabet.PROTEIN)
        network = build_network(config)
        return MaskedLanguageModel(name, Architecture.ESM_C, Alphabet.PROTEIN, network, tokeniser, 2046)


def sequences_for(model: MaskedLanguageModel, count: int) -> SequenceBlock:
    """Real ones of its alphabet."""
    if model.alphabet is Alphabet.RNA:
        return rnas(count)
    with gzip.open(PROTEINS, "rt", encoding="ascii") as stream:
        letters = {"".join(record.split("\n")[1:]).upper() for record in stream.read().split(">")[1:]}
    allowed = set(Alphabet.PROTEIN.residues)
    known = [each for each in letters if set(each) <= allowed and 20 <= len(each) <= model.maximum_residues]
    known.sort(key=lambda sequence: (len(sequence), sequence))
    chosen = ((np.arange(count) + 0.5) / count * len(known)).astype(np.int64)
    return SequenceBlock.from_strings([known[row] for row in np.random.default_rng(0).permutation(chosen)])


def flops(model: MaskedLanguageModel, block: SequenceBlock, gradients: bool) -> float:
    """Operations of one forward pass that the model asks for, and those of the head's gradients."""
    tokens = np.minimum(block.lengths, model.maximum_residues) + 2.0
    config, width = model.network.config, model.network.config.hidden_size
    linear = [m for m in model.network.base_model.modules() if isinstance(m, torch.nn.Linear)]
    weights = sum(layer.weight.numel() for layer in linear if layer.out_features > 1)
    weights += width * width + width * config.vocab_size
    pairs = 4 * config.num_hidden_layers * width * (tokens**2).sum()
    return float(2 * weights * tokens.sum() + pairs + gradients * 2 * width * width * tokens.sum())


def measure(model: MaskedLanguageModel, row: str, block: SequenceBlock) -> dict[str, float]:
    """Seconds a sequence and the largest memory on the GPU."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work = work_of(row, model, block, BUDGETS.get(row, BUDGET))
    work()
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    if row == "reference":
        model.network.set_attn_implementation("sdpa")
    model.network.zero_grad(set_to_none=True)
    return {
        "seconds": seconds / len(block),
        "device_peak_bytes": torch.cuda.max_memory_allocated() - before,
    }


def table(name: str, model: MaskedLanguageModel, repeats: int) -> dict[str, dict[str, object]]:
    """All rows of a model, printed and returned."""
    counts = ROWS[name]
    blocks = {row: sequences_for(model, count) for row, count in counts.items()}
    found: dict[str, list[dict[str, float]]] = {row: [] for row in counts}
    for repeat in range(repeats):
        order = list(counts)
        turn = repeat % len(order)
        for row in order[turn:] + order[:turn]:
            found[row].append(measure(model, row, blocks[row]))
    peak = peak_flops(model.device, TrainingPrecision.BF16)
    figures: dict[str, dict[str, object]] = {}
    slowest = (
        statistics.median(one["seconds"] for one in found["reference"]) if "reference" in found else None
    )
    print(f"\n{name}, {torch.cuda.get_device_name()}, medians of {repeats}")
    print(f"{'row':>16} {'us/sequence':>12} {'x reference':>12} {'tokens/s':>12} {'of peak':>8} {'GB':>7}")
    for row, ones in found.items():
        seconds = statistics.median(one["seconds"] for one in ones)
        passes = 1 if row in ONE_PASS else 2
        block = blocks[row]
        tokens = float((np.minimum(block.lengths, model.maximum_residues) + 2).mean())
        work = flops(model, block, row.startswith("head")) * passes / len(block)
        share = work / seconds / peak if peak and row.endswith("bf16") else None
        times = slowest * passes / 2 / seconds if slowest else None
        memory = max(one["device_peak_bytes"] for one in ones)
        figures[row] = {
            "seconds_a_sequence": seconds,
            "tokens_per_s": tokens * passes / seconds,
            "times_reference": times,
            "model_flops_utilisation": share,
            "device_peak_bytes": memory,
            "repeats": ones,
        }
        told = f"{times:.1f}" if times else ""
        print(
            f"{row:>16} {seconds * 1e6:>12.1f} {told:>12} {tokens * passes / seconds:>12,.0f} "
            f"{'' if share is None else format(share, '.1%'):>8} {memory / 1e9:>7.2f}"
        )
    return figures


def whole_pass(name: str, model: MaskedLanguageModel, folder: Path) -> dict[str, object]:
    """A score pass as a run does it, with its files, under the token budget found by trial; hours to come."""
    started = time.perf_counter()
    config = settled_on_device(InfluenceConfig(), model)
    tried = time.perf_counter() - started
    block = sequences_for(model, 4 * ROWS[name]["head-bf16"])
    width = model.network.config.hidden_size
    seconds, busy = [], 0.0
    for repeat in range(2):  # the first one warms up
        started = time.perf_counter()
        places = folder / f"{name}-{repeat}" / "scores", folder / f"{name}-{repeat}" / "embeddings"
        summary = run_scores(model, MemoryPool(block), np.full((width, width), 1e-6), config, *places)
        seconds.append(time.perf_counter() - started)
        busy = summary.device_busy or 0.0
    peak = peak_flops(model.device, TrainingPrecision.BF16)
    share = flops(model, block, True) / seconds[-1] / peak if peak else None
    pool, said = POOLS[name]
    hours = pool * seconds[-1] / len(block) / 3600
    print(
        f"{name}: budget {config.batch_tokens:,} tokens, found in {tried:.1f} s; {len(block):,} sequences "
        f"with files in {seconds[-1]:.2f} s, busy {busy:.1%}, "
        f"{'' if share is None else format(share, '.1%')} of peak; {said} of this mix: {hours:,.2f} h a pass"
    )
    return {
        "token_budget": config.batch_tokens,
        "trial_seconds": tried,
        "sequences": len(block),
        "seconds": seconds[-1],
        "device_busy": busy,
        "model_flops_utilisation": share,
        "hours": {said: hours},
    }


def fidelity(model: MaskedLanguageModel, count: int) -> dict[str, float]:
    """How the scores in bf16 rank next to those in float32, a quarter of the sequences in the subset."""
    block, subset = sequences_for(model, count), np.arange(0, count, 4)
    scores = []
    for precision in (Precision.FLOAT32, Precision.BF16):
        config = replace(InfluenceConfig(), precision=precision, token_budget=BUDGET // 4)
        fisher = fisher_diagonal([accumulate_fisher(model, block.take(subset), config)])
        scores.append(score_block(model, block, fisher, config, embeddings=False).influence)
    exact, rounded = scores
    top = [set(np.argsort(-each)[: count // 10].tolist()) for each in scores]
    figures = {
        "rank_correlation": float(spearmanr(exact, rounded).statistic),
        "overlap_of_top_tenth": len(top[0] & top[1]) / len(top[0]),
    }
    print(f"bf16 next to float32, {count} sequences: {figures}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no GPU here; nothing is measured.")
        return
    for data in (RNAS, PROTEINS):
        needed(data)
    report: dict[str, object] = {"machine": machine(torch.device("cuda"))}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.models:
            model = model_of(name)
            report[name] = {
                "rows": table(name, model, given.repeats),
                "pass": whole_pass(name, model, Path(folder)),
                "fidelity": fidelity(model, 2000 if name == "rna-fm-full" else 600),
            }
            if given.json:
                given.json.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
