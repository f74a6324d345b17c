"""A training that another process kills: `python killed_training.py DIRECTORY`, one line a step."""

import sys
from pathlib import Path

import torch
from conftest import minute_model, repetitive_block

from bioprune_core.progress import Progress
from bioprune_core.training import TrainingConfig, TrainingHistory, train

CONFIG = TrainingConfig(epochs=3, token_budget=256, learning_rate=3e-3, checkpoint_every_steps=4, seed=5)


def run(directory: Path) -> TrainingHistory:
    torch.set_num_threads(1)
    return train(minute_model(), repetitive_block(60), CONFIG, directory, tell)


def tell(progress: Progress) -> None:
    print(progress.done, flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
