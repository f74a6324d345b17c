"""An independent implementation agrees: self-influence under a diagonal Fisher of the kronfluence package."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bioprune_core.influence import InfluenceConfig, ParameterSet, score_sequences
from bioprune_core.influence.linear_layers import linear_layers
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.models.batching import pad_batch
from bioprune_core.sequences.block import SequenceBlock


def test_all_linear_layers(
    model: MaskedLanguageModel, make_block: Callable[..., SequenceBlock], tmp_path: Path
) -> None:
    reason = "kronfluence, which serves as an independent implementation, is not installed"
    analyzer = pytest.importorskip("kronfluence.analyzer", reason=reason)
    arguments = pytest.importorskip("kronfluence.arguments", reason=reason)
    task = pytest.importorskip("kronfluence.task", reason=reason)
    names = [layer.name for layer in linear_layers(model, ParameterSet.ALL_LINEAR)]

    class UnmaskedLoss(task.Task):  # type: ignore[misc]
        def compute_train_loss(self, batch: Any, model: Any, sample: bool = False) -> torch.Tensor:
            tokens, mask = batch
            logits = model(input_ids=tokens, attention_mask=mask).logits
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
            return ((losses * mask).sum(dim=1) / mask.sum(dim=1)).sum()

        def compute_measurement(self, batch: Any, model: Any) -> torch.Tensor:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return names

    block = make_block(model, 12)
    encoded = model.tokeniser.encode(block, model.maximum_residues)
    batch = pad_batch(encoded, np.arange(len(block)), model.tokeniser.pad_id)
    dataset = torch.utils.data.TensorDataset(batch.tokens, batch.attention_mask.long())
    unmasked = UnmaskedLoss()
    network = analyzer.prepare_model(copy.deepcopy(model.network), unmasked)
    analysis = analyzer.Analyzer(
        "oracle", network, unmasked, cpu=True, disable_tqdm=True, output_dir=str(tmp_path)
    )
    factors = arguments.FactorArguments(strategy="diagonal")
    analysis.fit_all_factors("factors", dataset, per_device_batch_size=4, factor_args=factors)
    damping = InfluenceConfig().damping
    analysis.compute_self_scores(
        "scores",
        "factors",
        dataset,
        per_device_train_batch_size=4,
        score_args=arguments.ScoreArguments(damping_factor=damping),
    )
    expected = analysis.load_self_scores("scores")["all_modules"].numpy()
    found = score_sequences(model, block, parameters=ParameterSet.ALL_LINEAR, damping=damping)
    np.testing.assert_allclose(found.influence, expected, rtol=1e-4)
