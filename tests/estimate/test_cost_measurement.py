"""Measuring a real tiny model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_memory import shrink_memory

from bioprune_core.estimate import measure, measure_run
from bioprune_core.influence import FisherScale, InfluenceConfig
from bioprune_core.influence.plan import settled_on_device
from bioprune_core.models import create_model
from bioprune_core.progress import Progress
from bioprune_core.sequences import Pool, ingest
from bioprune_core.training import TrainingConfig


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = tmp_path_factory.mktemp("pool")
    random = np.random.default_rng(0)
    lengths = [*random.integers(20, 200, 300).tolist(), 1_500]
    records = [f">s{i}\n{''.join(random.choice(list('ACGU'), n))}\n" for i, n in enumerate(lengths)]
    (folder / "pool.fasta").write_text("".join(records))
    ingest(folder / "pool.fasta", folder / "dataset")
    return Pool.open(folder / "dataset")


def test_twelve_lengths_of_the_pool_and_a_training_are_measured(pool: Pool) -> None:
    model = create_model("rna-fm", "tiny", "rna", 0)
    seen: list[Progress] = []
    costs = measure_run(
        model,
        pool,
        pool.lengths(),
        InfluenceConfig(token_budget=512),
        TrainingConfig(token_budget=512),
        1.0,
        seen.append,
    )
    assert len(costs.tokens) == 12
    assert np.all(np.diff(costs.tokens) > 0)
    assert min(costs.score_s) > 0
    assert costs.train_s > costs.measure_s > 0
    assert costs.special_tokens == 2
    assert costs.token_count(pool.lengths()) == int(np.minimum(pool.lengths(), 1022).sum()) + 2 * len(pool)
    assert seen[-1].done == seen[-1].total == costs.batches


def test_a_pool_of_one_sequence_can_be_measured(tmp_path: Path) -> None:
    (tmp_path / "one.fasta").write_text(">only\nACGUACGUACGU\n")
    ingest(tmp_path / "one.fasta", tmp_path / "dataset")
    pool = Pool.open(tmp_path / "dataset")
    model = create_model("rna-fm", "tiny", "rna", 0)
    costs = measure_run(model, pool, pool.lengths(), InfluenceConfig(), TrainingConfig(), 1.0)
    assert costs.tokens == (14.0,)


def test_batches_are_those_of_the_plan_that_a_run_would_make(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device, here a pretended one, that has memory for 1,100 tokens."""
    model = create_model("rna-fm", "tiny", "rna", 0)
    monkeypatch.setattr("bioprune_core.influence.plan._is_tried", lambda _: True)
    failed = shrink_memory(model, 1_100, monkeypatch)
    budget = settled_on_device(InfluenceConfig(), model).token_budget
    assert budget == 1_024
    in_trial = len(failed)
    measured: list[int | None] = []
    score = measure.score_block

    def noted(model: Any, block: Any, fisher: Any, config: InfluenceConfig, **options: Any) -> Any:
        measured.append(config.token_budget)
        assert isinstance(fisher, FisherScale), "made for every batch it would be timed with it"
        return score(model, block, fisher, config, **options)

    monkeypatch.setattr(measure, "score_block", noted)
    training = TrainingConfig(token_budget=512)
    costs = measure_run(model, pool, pool.lengths(), InfluenceConfig(), training, 1.0)
    assert set(measured) == {budget}
    # In the trial again, and nowhere else.
    assert len(failed) == 2 * in_trial
    assert costs.trial_s > 0
