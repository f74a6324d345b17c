"""What a token of pretraining takes, measured on a few steps before any network is trained."""

from dataclasses import replace

import numpy as np

from bioprune_core.estimate.measure import training_seconds
from bioprune_core.jobs.environment import resolve_device
from bioprune_core.laboratory.plan_file import PlannedExperiment
from bioprune_core.laboratory.preparation import Prepared
from bioprune_core.laboratory.store import CellStore
from bioprune_core.models import create_model
from bioprune_core.training.batches import Corpus

__all__ = ["with_speed"]

_SAMPLED = 512


def with_speed(
    experiment: PlannedExperiment, prepared: Prepared, store: CellStore, device: str
) -> PlannedExperiment:
    """The experiment with `seconds_a_token`, unless one of its networks is trained and tells it better.

    Args:
        experiment: As planned.
        prepared: The same, with its sequences.
        store: Where results are kept.
        device: "auto", "cpu", "cuda", "cuda:1", ...

    Raises:
        InputError: There is no such device, or it does not compute at the precision asked for.
        StageError: It has too little memory for a step.
    """
    if any(cell.trained and store.is_done(cell.key) for cell in experiment.plan.pretrainings):
        return experiment
    settings, eligible = prepared.config.pretraining, prepared.arrays.eligible
    model = create_model(settings.architecture, settings.scale, prepared.sequences.alphabet, 0)
    model.to(resolve_device(device))
    chosen = np.random.default_rng(0).choice(eligible, size=min(_SAMPLED, len(eligible)), replace=False)
    corpus = Corpus.of(prepared.sequences.take(np.sort(chosen)), model, "pool")
    seconds = training_seconds(model, corpus, settings.training_config(0), lambda: None)
    return replace(experiment, seconds_a_token=seconds)
