"""The influence engine next to what it is measured by: both passes, Fisher and scores, over one sample.

Rows: the scheme of the authors' code written plainly (vmap of jacrev, 1,024 tokens with their pads), the
forward pass alone (twice, for two passes), the head's closed form with the backbone run twice and with its
outputs kept, the same in bf16 where asked for, all linear layers (the score pass alone), and one training
step of the same batches. The sample is of real RNAs up to 1,022 nt, evenly over the batches that a run makes
of them: in batches of 64 sequences drawn one by one a third is pads, in those of a run a twenty-fifth.

Each measurement is a process of its own, so that its largest resident memory is its own, and runs with the
variables of a stage; the rows take turns and every repeat starts with another. Figures are medians over the
repeats. Every work is done twice and timed the second time; loading is not timed.

python tests/benchmarks/bench_engine.py [--sequences 60] [--reference-sequences 4] [--repeats 3]
    [--model rna-fm-full] [--rows forward head ...] [--device cpu] [--threads 2] [--json F]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from bench_influence import machine, open_model
from memory_pool import MemoryPool
from real_data import RNAS, needed, rnas

from bioprune_core.influence import (
    FisherScale,
    InfluenceConfig,
    ParameterSet,
    Precision,
    accumulate_fisher,
    fisher_diagonal,
    fisher_scale,
    read_head_inputs,
    run_fisher,
    run_scores,
    score_block,
)
from bioprune_core.influence.gradient_engine import gradient_engine
from bioprune_core.jobs.child import STAGE_ENVIRONMENT
from bioprune_core.models import MaskedLanguageModel, pad_batch, plan_batches
from bioprune_core.models.half_precision import bf16_backbone
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig
from bioprune_core.training.optimisation import make_optimiser

BUDGET = 4096
SHARD = InfluenceConfig().shard_size
LENGTH_MULTIPLE = 8  # of a run in bf16
PADDED = 1024
AT_ONCE = {"cpu": 2, "cuda": 4}
ROWS = ("reference", "forward", "head", "head-kept", "all-linear", "training-step")
BF16_ROWS = ("forward-bf16", "head-bf16", "head-kept-bf16")


def whole_batches(count: int) -> SequenceBlock:
    """About so many sequences of a shard, in whole ones of the batches that a run makes of it."""
    shard = rnas(SHARD)
    plan = plan_batches(shard.lengths + 2, BUDGET, 1, LENGTH_MULTIPLE)
    batches = max(1, round(count / SHARD * len(plan)))
    chosen = ((np.arange(batches) + 0.5) / batches * len(plan)).astype(np.int64)
    return shard.take(np.sort(np.concatenate([plan[index] for index in chosen])))


def reference(model: MaskedLanguageModel, block: SequenceBlock) -> None:
    """Per-sequence gradients of the head's dense weight by vmap(jacrev), squared, for both passes."""
    network = model.network
    network.set_attn_implementation("eager")  # what vmap can trace
    name = model.head.dense_parameter_name
    parameters = dict(network.named_parameters())
    held = {key: value.detach() for key, value in parameters.items() if key != name}
    weight = parameters[name].detach()
    tokens = model.tokeniser.encode(block, PADDED - 2)
    padded = torch.full((len(block), PADDED), model.tokeniser.pad_id)
    for row in range(len(block)):
        ids = torch.from_numpy(tokens.sequence(row).astype(np.int64))
        padded[row, : len(ids)] = ids
    padded = padded.to(model.device)

    def loss(weight: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.unsqueeze(0)
        seen = torch.zeros(1, 1, 1, ids.shape[1], device=ids.device)
        embedded = network.base_model.embeddings(input_ids=ids, attention_mask=torch.ones_like(ids))
        arguments = {"inputs_embeds": embedded, "attention_mask": seen}
        output = torch.func.functional_call(network, {name: weight, **held}, kwargs=arguments)
        return torch.nn.functional.cross_entropy(output.logits[0], ids[0])

    at_once = AT_ONCE[model.device.type]
    per_sequence = torch.vmap(torch.func.jacrev(loss), in_dims=(None, 0))
    fisher = torch.zeros_like(weight, dtype=torch.float64)
    for start in range(0, len(padded), at_once):
        fisher += per_sequence(weight, padded[start : start + at_once]).double().square().sum(dim=0)
    inverse = 1 / (fisher / len(padded) + 1e-8)
    for start in range(0, len(padded), at_once):
        squares = per_sequence(weight, padded[start : start + at_once]).double().square()
        (squares * inverse).sum(dim=(1, 2))


def work_of(
    row: str, model: MaskedLanguageModel, block: SequenceBlock, budget: int = BUDGET
) -> Callable[[], object]:
    """What a row does, as often as it is called, in batches of so many tokens."""
    precision = Precision.BF16 if row.endswith("-bf16") else Precision.FLOAT32
    config = InfluenceConfig(token_budget=budget, precision=precision)
    everything = np.arange(len(block))
    tokens = model.tokeniser.encode(block, model.maximum_residues)
    batches = [
        pad_batch(tokens, rows, model.tokeniser.pad_id).to(model.device)
        for rows in plan_batches(tokens.lengths, budget)
    ]

    @torch.inference_mode()
    def forward_twice() -> None:
        for _ in range(2):
            for batch in batches:
                model.logits(batch.tokens, batch.attention_mask)

    def forward_twice_bf16() -> None:
        with bf16_backbone(model) as in_bf16, torch.inference_mode():
            for batch in [*batches, *batches]:
                with in_bf16():
                    hidden = model.hidden_states(batch.tokens, batch.attention_mask).float()
                model.head(hidden)

    def head() -> None:
        fisher = fisher_diagonal([accumulate_fisher(model, block, config)])
        score_block(model, block, fisher, config)

    def head_kept() -> None:
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            fisher = run_fisher(
                model, MemoryPool(block), everything, config, directory / "fisher", keep_inputs=True
            )
            kept = read_head_inputs(directory / "fisher")
            places = directory / "scores", directory / "embeddings"
            run_scores(model, MemoryPool(block), fisher, config, *places, kept_inputs=kept)

    layers = InfluenceConfig(token_budget=budget, parameters=ParameterSet.ALL_LINEAR)
    scale: FisherScale | None = None
    if row == "all-linear":
        # As a run's score stage does, which does not keep F either.
        scale = fisher_scale(np.full(gradient_engine(model, layers).shape, 1e-6), layers.damping)
    if row == "training-step":
        optimiser = make_optimiser(model.network, TrainingConfig(steps=1))

    def training_step() -> None:
        for batch in batches:
            logits = model.logits(batch.tokens, batch.attention_mask)[batch.attention_mask]
            torch.nn.functional.cross_entropy(logits, batch.tokens[batch.attention_mask]).backward()
            optimiser.step()
            optimiser.zero_grad()

    return {
        "reference": lambda: reference(model, block),
        "forward": forward_twice,
        "forward-bf16": forward_twice_bf16,
        "head": head,
        "head-bf16": head,
        "head-kept": head_kept,
        "head-kept-bf16": head_kept,
        "all-linear": lambda: score_block(model, block, scale, layers) if scale is not None else None,
        "training-step": training_step,
    }[row]


def measure(given: argparse.Namespace) -> None:
    """One row in this process: its figures as JSON on standard output."""
    torch.set_num_threads(given.threads)
    model = open_model(given.model, given.device)
    # The reference pads every sequence to the same length.
    few = given.one == "reference"
    block = rnas(given.reference_sequences) if few else whole_batches(given.sequences)
    count = len(block)
    work = work_of(given.one, model, block)
    work()  # kernels for the shapes of its batches are compiled once, and a pool has thousands of each
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    figures = {
        "seconds": (time.perf_counter() - clock) / count,
        "processor_seconds": (time.process_time() - cpu) / count,
        "peak_bytes": peak,
        "device_peak_bytes": torch.cuda.max_memory_allocated() if model.device.type == "cuda" else 0,
        "mean_tokens": float(model.tokeniser.encode(block, model.maximum_residues).lengths.mean()),
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sequences", type=int, default=60)
    parser.add_argument("--reference-sequences", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="rna-fm-full", help="architecture-scale, or a name or path")
    parser.add_argument("--rows", nargs="+", choices=ROWS + BF16_ROWS, default=list(ROWS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(given)
        return
    needed(RNAS)
    found: dict[str, list[dict[str, float]]] = {row: [] for row in given.rows}
    for repeat in range(given.repeats):
        turn = repeat % len(given.rows)
        for row in given.rows[turn:] + given.rows[:turn]:
            child = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--one", row],
                check=True,
                stdout=subprocess.PIPE,
                env={**STAGE_ENVIRONMENT, **os.environ},
            )
            found[row].append(json.loads(child.stdout))
    figures = {
        row: {name: statistics.median(one[name] for one in ones) for name in ones[0]}
        for row, ones in found.items()
    }
    print_table(figures, given)
    report = {"machine": machine(torch.device(given.device)), "settings": vars(given) | {"json": None}}
    text = json.dumps({**report, "rows": figures, "repeats": found}, indent=2, default=str)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


def print_table(figures: dict[str, dict[str, float]], given: argparse.Namespace) -> None:
    """Seconds a sequence (both passes; all-linear and training-step one), and how they compare."""
    print(f"{given.model}, {given.device}, {given.threads} threads, medians of {given.repeats}")
    print(
        f"{'row':>16} {'s/sequence':>11} {'cpu s/seq':>10} {'x reference':>12} {'of forward':>11} {'GB':>6}"
    )
    slowest, forward = figures.get("reference"), figures.get("forward")
    for row, one in figures.items():
        # The reference is two passes; a single one is compared with half of it.
        passes = 1 if row in ("all-linear", "training-step") else 2
        times = f"{slowest['seconds'] * passes / 2 / one['seconds']:.1f}" if slowest else ""
        share = f"{forward['seconds'] * passes / 2 / one['seconds']:.1%}" if forward else ""
        memory = max(one["peak_bytes"], one["device_peak_bytes"]) / 1e9
        print(
            f"{row:>16} {one['seconds']:>11.3f} {one['processor_seconds']:>10.3f} {times:>12} {share:>11} "
            f"{memory:>6.2f}"
        )
    if {"all-linear", "training-step"} <= figures.keys():
        step, layers = figures["training-step"], figures["all-linear"]
        time_ratio = layers["seconds"] / step["seconds"]
        cpu_ratio = layers["processor_seconds"] / step["processor_seconds"]
        print(
            f"all-linear: {time_ratio:.2f} training steps by the clock, {cpu_ratio:.2f} by processor time, "
            f"{layers['peak_bytes'] / step['peak_bytes']:.2f} of its memory"
        )


if __name__ == "__main__":
    main()
