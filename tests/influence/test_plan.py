"""What is decided on the device is decided once, and stands for every later attempt."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from memory_pool import MemoryPool
from safetensors.numpy import load_file
from small_memory import shrink_memory

from bioprune_core.errors import StageError, StorageError
from bioprune_core.influence import (
    InfluenceConfig,
    Precision,
    help_fisher,
    read_plan,
    run_fisher,
    run_scores,
    settled,
)
from bioprune_core.influence.plan import _trial, fitting_budget, make_plan, settled_on_device
from bioprune_core.influence.receipt import origin_of
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

MakeBlock = Callable[..., SequenceBlock]
POOL = MemoryPool(SequenceBlock.from_strings(["ACGU", "GGCA", "UUUACG"]))


def test_a_budget_grows_while_it_is_quicker() -> None:
    rates = {8192: 100.0, 16384: 150.0, 32768: 170.0, 65536: 171.0}
    assert fitting_budget(rates.__getitem__) == 32768


def test_a_budget_grows_while_it_fits() -> None:
    assert fitting_budget(lambda budget: float(budget) if budget <= 20_000 else None) == 16384
    assert fitting_budget(lambda budget: float(budget)) == 1 << 20


def test_a_budget_shrinks_until_it_fits() -> None:
    assert fitting_budget(lambda budget: 1.0 if budget <= 1500 else None) == 1024
    with pytest.raises(StageError, match="no memory for a batch of 256 tokens"):
        fitting_budget(lambda _: None)


def test_a_trial_tells_what_does_not_fit(
    rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden_states = MaskedLanguageModel.hidden_states

    def small_device(
        self: MaskedLanguageModel, tokens: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        if tokens.numel() > 600:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hidden_states(self, tokens, attention_mask)

    monkeypatch.setattr(MaskedLanguageModel, "hidden_states", small_device)
    trial = _trial(rna_model, settled(InfluenceConfig(), rna_model))
    assert trial(4096) is None
    rate = trial(512)
    assert rate is not None
    assert rate > 0


def test_a_model_that_diverged_is_not_taken_for_a_small_device(
    rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass itself says which sequences have no finite score."""

    def diverged(tokens: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.full((*tokens.shape, 128), torch.nan)

    monkeypatch.setattr(rna_model, "hidden_states", diverged, raising=True)
    rate = _trial(rna_model, settled(InfluenceConfig(), rna_model))(512)
    assert rate is not None
    assert rate > 0


def test_batches_of_a_trial_share_what_a_pass_makes_once(
    rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(facts: dict[str, Any], *arrays: np.ndarray) -> str:
        made.append(1)
        return origin_of(facts, *arrays)

    monkeypatch.setattr("bioprune_core.influence.damping.origin_of", counted)
    trial = _trial(rna_model, settled(InfluenceConfig(), rna_model))
    assert trial(512) and trial(1_024)
    assert len(made) == 1


def test_what_a_gpu_takes_is_decided_by_trial(
    rna_model: MaskedLanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_memory(rna_model, 1_100, monkeypatch)
    monkeypatch.setattr("bioprune_core.influence.plan._is_tried", lambda _: True)
    given_back: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given_back.append(1))
    plan = make_plan(rna_model, POOL, np.array([0]), InfluenceConfig(), tmp_path)
    assert plan.config.token_budget == 1_024
    assert given_back, "what the trial took beyond that is not kept"
    assert settled_on_device(InfluenceConfig(), rna_model) == plan.config
    assert settled_on_device(InfluenceConfig(token_budget=77), rna_model).token_budget == 77


def test_what_the_user_chose_is_not_decided(rna_model: MaskedLanguageModel, tmp_path: Path) -> None:
    config = InfluenceConfig(precision=Precision.BF16, token_budget=77)
    assert make_plan(rna_model, POOL, np.array([0]), config, tmp_path).config == config


def test_the_first_plan_stands(rna_model: MaskedLanguageModel, tmp_path: Path) -> None:
    config = InfluenceConfig()
    first = make_plan(rna_model, POOL, np.array([0, 2]), config, tmp_path, keep_inputs=True)
    assert first.head_inputs
    assert first.config == settled(config, rna_model)
    kept = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps(kept | {"token_budget": 123, "head_inputs": False}))
    later = make_plan(rna_model, POOL, np.array([0, 2]), config, tmp_path, keep_inputs=True)
    assert later.config == replace(first.config, token_budget=123)
    assert not later.head_inputs


def test_a_damaged_plan_is_named(rna_model: MaskedLanguageModel, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(StorageError, match=r"plan\.json is damaged"):
        read_plan(tmp_path, InfluenceConfig())


def test_who_helps_waits_for_the_plan(rna_model: MaskedLanguageModel, tmp_path: Path) -> None:
    config = InfluenceConfig()
    help_fisher(rna_model, POOL, np.array([0, 1]), config, tmp_path)
    assert list(tmp_path.iterdir()) == []
    make_plan(rna_model, POOL, np.array([0, 1]), config, tmp_path)
    help_fisher(rna_model, POOL, np.array([0, 1]), config, tmp_path)
    helped = (tmp_path / "part-00000.safetensors").read_bytes()
    run_fisher(rna_model, POOL, np.array([0, 1]), config, tmp_path)
    assert (tmp_path / "part-00000.safetensors").read_bytes() == helped


def replan(directory: Path, **changes: Any) -> None:
    """Write another plan, as a run on another device would have."""
    path = directory / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_who_computes_on_another_device_does_not_help(rna_model: MaskedLanguageModel, tmp_path: Path) -> None:
    """A processor would hold a shard that a GPU is done with in no time."""
    subset, config = np.array([0, 1]), InfluenceConfig()
    make_plan(rna_model, POOL, subset, config, tmp_path)
    replan(tmp_path, device="cuda", token_budget=1 << 20)
    help_fisher(rna_model, POOL, subset, config, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_from_before_devices_were_written_down_stands(
    rna_model: MaskedLanguageModel, tmp_path: Path
) -> None:
    subset, config = np.array([0, 1]), InfluenceConfig()
    first = make_plan(rna_model, POOL, subset, config, tmp_path)
    assert first.device == "cpu"
    values = json.loads((tmp_path / "plan.json").read_text())
    del values["device"]
    (tmp_path / "plan.json").write_text(json.dumps(values))
    assert read_plan(tmp_path, config) == replace(first, device=None)
    help_fisher(rna_model, POOL, subset, config, tmp_path)
    assert (tmp_path / "part-00000.safetensors").exists()


def test_a_processor_that_takes_over_from_a_gpu_takes_less_at_once(
    rna_model: MaskedLanguageModel, make_block: MakeBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the GPU finished stays, and the rest comes out as it would have there, but for rounding."""
    pool, subset = MemoryPool(make_block(rna_model, 40)), np.arange(0, 40, 2)
    config = InfluenceConfig(shard_size=10)
    sizes: list[int] = []
    states = rna_model.hidden_states

    def noted(tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        sizes.append(tokens.numel())
        return states(tokens, mask)

    monkeypatch.setattr(rna_model, "hidden_states", noted, raising=True)
    monkeypatch.setattr("bioprune_core.influence.plan.DEFAULT_TOKEN_BUDGET", 200)
    whole = run_fisher(rna_model, pool, subset, config, tmp_path)
    scores = run_scores(rna_model, pool, whole, config, tmp_path / "scores", None)
    assert max(sizes) > 500
    finished, taken = tmp_path / "part-00000.safetensors", tmp_path / "part-00001.safetensors"
    before, expected = finished.stat().st_mtime_ns, load_file(taken)["sum_squared"]
    replan(tmp_path, device="cuda")
    taken.unlink()
    (tmp_path / "scores" / "part-00002.parquet").unlink()
    sizes.clear()
    run_fisher(rna_model, pool, subset, config, tmp_path)
    plan = read_plan(tmp_path, config)
    assert plan is not None
    most_tokens = plan.most_tokens(rna_model.device)
    again = run_scores(
        rna_model, pool, whole, plan.config, tmp_path / "scores", None, most_tokens=most_tokens
    )
    assert 0 < max(sizes) <= 200
    assert finished.stat().st_mtime_ns == before
    np.testing.assert_allclose(load_file(taken)["sum_squared"], expected, rtol=1e-4)
    assert again == replace(scores, reused=3, device_busy=again.device_busy)
