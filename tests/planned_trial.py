"""A pool of 400 sequences with planted groups, and an experiment over it."""

from typing import Any

import numpy as np

from bioprune_core.experiments import ExperimentConfig, Inputs, Pool, ReportedTask

SIZE = 400


def make_pool(**changes: Any) -> Pool:
    """Influence that is correlated with length and source; 30 sequences excluded, 20 others held out."""
    random = np.random.default_rng(0)
    source = random.integers(0, 3, SIZE)
    columns: dict[str, Any] = {
        "hashes": random.permutation(np.arange(1, SIZE + 1, dtype=np.uint64) * np.uint64(7919)),
        "lengths": random.integers(30, 400, SIZE),
        "influence": random.exponential(1 + source),
        "groups": {
            "source": source,
            "label": random.integers(-1, 12, SIZE),
            "cluster": random.integers(-1, 150, SIZE),
        },
        "excluded": np.arange(SIZE) < 30,
        "held_out": np.arange(SIZE) >= SIZE - 20,
    }
    return Pool(**columns | changes)


def experiment(**changes: Any) -> dict[str, Any]:
    """A valid experiment as a person writes it."""
    return {
        "name": "trial",
        "project": "rna",
        "dataset": "pool",
        "run": "first",
        "sizes": [20],
        "seeds": [0, 1, 2],
        "tasks": [{"name": "rna-type", "folder": "data/nrc"}],
        "pretraining": {
            "architecture": "rna-fm",
            "scale": "tiny",
            "budget": "equal-steps",
            "amount": 100,
            "training": {"token_budget": 1024},
        },
        "arms": [{"kind": "top-influence"}, {"kind": "coverage-centric", "strata": 5}],
    } | changes


def configured(**changes: Any) -> ExperimentConfig:
    return ExperimentConfig.from_json(experiment(**changes))


INPUTS = Inputs("d" * 64, {"rna-type": "t" * 64, "rbp": "r" * 64}, "h" * 64, "rna")
TASKS = (
    ReportedTask("rna-type", "RNA type", ("accuracy", "macro_f1"), frozenset({"mse"}), "the split of BEACON"),
)
