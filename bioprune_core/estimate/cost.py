"""From the costs of a few batches to the cost of a run. Needs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.diagnostics.configuration import DiagnosticsConfig, curvature_bytes, extra_sequences
from bioprune_core.influence.configuration import is_worth_keeping
from bioprune_core.training.config import TrainingConfig

__all__ = ["BatchCosts", "RunCost", "project_cost"]

# What a map takes, measured by bench_map.py on one core: seconds to load and compile the layout's code, per
# landmark and component of its neighbour search and layout, and per sequence placed between them.
# Between those of two machines, of which one took 20 s, 1.1e-3 and 3.0e-4, the other half of it and less.
_MAP_START_S = 15.0
_MAP_LANDMARK_S = 8.5e-4
_MAP_PLACED_S = 1.6e-4
_MAP_START_BYTES = 300 << 20
_MAP_LANDMARK_BYTES = 15_000
# Columns of a scored sequence beside its embedding: scores, hash, position, map; packed.
_ROW_BYTES = 44


@dataclass(frozen=True, slots=True)
class BatchCosts:
    """What a few batches took on the device of a run.

    Args:
        device: "cpu", "cuda:0", ...
        parameters: Of the model.
        weight_bytes: Of the model's weights.
        width: Entries of an embedding.
        kept_bytes_a_token: Of a token's head input, where the Fisher pass may keep it; or 0.
        fisher_bytes: Of the Fisher diagonal, and of each part of its pass.
        fisher_part_sequences: Of the subset in such a part.
        special_tokens: Tokens added to every sequence.
        maximum_residues: Residues of a sequence that the model takes.
        load_s: Seconds to load the libraries, which stages that follow each other do once.
        start_s: Seconds until a stage computes after that: weights read.
        trial_s: Seconds in which the Fisher pass finds its token budget; next to none without a GPU.
        tokens: Tokens a sequence in each measured scoring batch, ascending.
        score_s: Seconds to score one sequence of each of these lengths.
        train_s: Seconds a token of a training step.
        measure_s: Seconds a token of measuring the masked loss.
        peak_bytes: Largest resident memory of the process.
        device_peak_bytes: Largest memory on the GPU; 0 without one.
        batches: How many batches were measured.
    """

    device: str
    parameters: int
    weight_bytes: int
    width: int
    kept_bytes_a_token: int
    fisher_bytes: int
    fisher_part_sequences: int
    special_tokens: int
    maximum_residues: int
    load_s: float
    start_s: float
    trial_s: float
    tokens: tuple[float, ...]
    score_s: tuple[float, ...]
    train_s: float
    measure_s: float
    peak_bytes: int
    device_peak_bytes: int
    batches: int

    def scoring_seconds(self, lengths: NDArray[np.integer]) -> float:
        """Seconds to score sequences of these lengths in residues, shape (n,).

        Between two measured lengths the seconds a token are interpolated; they change slowly, by attention.
        """
        values, counts = np.unique(lengths, return_counts=True)
        tokens = np.minimum(values, self.maximum_residues) + self.special_tokens
        rates = np.array(self.score_s) / np.array(self.tokens)
        return float(np.sum(counts * tokens * np.interp(tokens, self.tokens, rates)))

    def token_count(self, lengths: NDArray[np.integer]) -> int:
        """Tokens of sequences of these lengths in residues, shape (n,)."""
        taken = np.minimum(lengths, self.maximum_residues).sum(dtype=np.int64)
        return int(taken) + self.special_tokens * len(lengths)


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run is expected to take.

    Args:
        stages: Seconds of each stage by name.
        memory_bytes: Largest resident memory of a stage.
        device_memory_bytes: Largest memory on the GPU; 0 without one.
        disk_bytes: The run's folder at its largest, without the cache; while fine-tuning, three times the
            weights more.
        cache_bytes: Head inputs of the subset, on disk until the run is done; 0 where they are not kept.
        tokens: Tokens to score.
        device: Where the batches were measured.
        batches: How many.
    """

    stages: Mapping[str, float]
    memory_bytes: int
    device_memory_bytes: int
    disk_bytes: int
    cache_bytes: int
    tokens: int
    device: str
    batches: int

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(self.stages.values())

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"stages": dict(self.stages), "seconds": self.seconds}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RunCost":
        """The inverse of `to_json`."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})


def project_cost(
    costs: BatchCosts,
    lengths: NDArray[np.integer],
    *,
    subset_size: int,
    held_out_size: int,
    training: TrainingConfig,
    shard_size: int,
    landmarks: int,
    diagnostics: DiagnosticsConfig,
    windows: bool = False,
) -> RunCost:
    """The cost of a run over a whole pool.

    Args:
        costs: What was measured.
        lengths: Residues of every sequence of the pool, shape (N,).
        subset_size: M.
        held_out_size: Sequences beside the subset on which losses are measured.
        training: Of the fine-tuning: its epochs, steps or tokens.
        shard_size: Sequences in a shard.
        landmarks: Sequences that the map is fitted on, at most.
        diagnostics: What is computed to judge the scores; as long as scoring as many sequences.
        windows: Whether longer sequences are scored in windows, instead of by their beginning.
    """
    count = len(lengths)
    scored = _in_windows(lengths, costs.maximum_residues) if windows else lengths
    tokens, score_s = costs.token_count(scored), costs.scoring_seconds(scored)
    mean_tokens = costs.token_count(lengths) / count
    held_out = min(held_out_size, count - subset_size)
    fitted = min(landmarks, count)
    tuned = training.passes(subset_size, mean_tokens) * subset_size * mean_tokens
    # Losses are measured before and, where anything is trained, after.
    measured = (2 if tuned else 1) * (subset_size + held_out) * mean_tokens
    fine_tune = tuned * costs.train_s + measured * costs.measure_s
    embedding_bytes = 2 * costs.width
    # A block of a shard as it is scored: embeddings in float32 and in float16, and its letters.
    shard = min(shard_size, count) * (3 * embedding_bytes + int(mean_tokens) + _ROW_BYTES)
    kept = costs.kept_bytes_a_token if is_worth_keeping(subset_size, count) else 0
    computed = 1 - subset_size / count if kept else 1.0
    fisher_parts = -(-subset_size // costs.fisher_part_sequences)
    fishers = 2 if diagnostics.enabled and diagnostics.sample_size else 1
    stages = {
        "fine-tune": costs.load_s + costs.start_s + fine_tune,
        "fisher": costs.start_s + costs.trial_s + score_s * subset_size / count,
        "score": costs.start_s + score_s * computed,
        "map": _MAP_START_S + _MAP_LANDMARK_S * fitted + _MAP_PLACED_S * (count - fitted),
    }
    if diagnostics.enabled:
        extra = extra_sequences(diagnostics, count, subset_size, held_out)
        stages["diagnostics"] = costs.load_s + costs.start_s + score_s * extra / count
    return RunCost(
        stages=stages,
        memory_bytes=max(
            costs.peak_bytes + max(shard, curvature_bytes(diagnostics, count, subset_size, costs.width)),
            _MAP_START_BYTES + _MAP_LANDMARK_BYTES * fitted,
        ),
        device_memory_bytes=costs.device_peak_bytes,
        disk_bytes=costs.weight_bytes
        + count * (embedding_bytes + _ROW_BYTES)
        + fishers * (1 + fisher_parts) * costs.fisher_bytes,
        cache_bytes=int(subset_size * mean_tokens * kept),
        tokens=tokens,
        device=costs.device,
        batches=costs.batches,
    )


def _in_windows(lengths: NDArray[np.integer], longest: int) -> NDArray[np.int64]:
    """Residues of every window, where sequences of more than `longest` are cut into several."""
    windows = np.maximum(1, -(-lengths.astype(np.int64) // longest))
    return np.repeat(lengths // windows, windows)
