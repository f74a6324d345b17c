"""Recommended settings, with what was measured. Needs no torch."""

from bioprune_core.training.config import Decay, TrainingConfig

__all__ = ["demo_pretraining", "subset_fine_tuning"]


def demo_pretraining(seed: int = 0) -> TrainingConfig:
    """Settings that train the demonstration's model from scratch: RNA-FM architecture, scale tiny."""
    return TrainingConfig(
        steps=800,
        learning_rate=2e-3,
        warmup_fraction=0.1,
        decay=Decay.COSINE,
        weight_decay=0.01,
        token_budget=2048,
        seed=seed,
    )


def subset_fine_tuning(parameters: int, seed: int = 0, epochs: float = 1.0) -> TrainingConfig:
    """Settings of subset fine-tuning.

    Args:
        parameters: Of the model; large pretrained networks are moved with a smaller learning rate.
        seed: Of masks and batch order.
        epochs: Passes over the subset; one in the paper.
    """
    return TrainingConfig(
        epochs=epochs,
        learning_rate=5e-4 if parameters < 10_000_000 else 1e-4,
        token_budget=4096,
        seed=seed,
    )
