"""The gradients behind the comparison are those that the run scores by, and so is its diagonal."""

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from small_memory import shrink_memory

from bioprune_core.diagnostics import compare_curvature
from bioprune_core.diagnostics.configuration import DiagnosticsConfig, curvature_bytes
from bioprune_core.diagnostics.curvature import _Estimate
from bioprune_core.diagnostics.dense_gradients import dense_gradients
from bioprune_core.errors import StageError
from bioprune_core.influence import InfluenceConfig, accumulate_fisher, fisher_diagonal, score_block
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

CONFIG = InfluenceConfig(token_budget=256)
MakeRna = Callable[..., SequenceBlock]


def test_gradients_are_those_of_the_scores(rna_model: MaskedLanguageModel, make_rna: MakeRna) -> None:
    block = make_rna(9)
    fisher = fisher_diagonal([accumulate_fisher(rna_model, block, CONFIG)])
    scores = score_block(rna_model, block, fisher, CONFIG, embeddings=False)
    found = {each.row: each.gradient for each in dense_gradients(rna_model, block, CONFIG)}
    assert sorted(found) == list(range(9))
    gradients = np.stack([found[row] for row in range(9)])
    np.testing.assert_allclose((gradients**2).mean(axis=0), fisher, rtol=1e-3, atol=1e-14)
    influence = (gradients**2 / (fisher + CONFIG.damping)).sum(axis=(1, 2))
    np.testing.assert_allclose(influence, scores.influence, rtol=1e-4)


def test_the_estimate_is_that_of_its_gradients(rna_model: MaskedLanguageModel, make_rna: MakeRna) -> None:
    block = make_rna(5)
    estimate = _Estimate((128, 128), len(block))
    tokens = 0
    for each in dense_gradients(rna_model, block, CONFIG):
        estimate.add(each.row, each.deltas, each.inputs)
        tokens += len(each.inputs)
    gradients = estimate.gradients
    np.testing.assert_allclose(estimate.diagonal.ravel(), (gradients**2).mean(axis=0), rtol=1e-12)
    assert tokens == int(block.lengths.sum()) + 2 * len(block)
    kronecker = estimate.kronecker
    assert kronecker.output_values.min() >= 0 and kronecker.input_values.min() >= 0


def test_a_small_head_is_compared_with_all_forms(rna_model: MaskedLanguageModel, make_rna: MakeRna) -> None:
    done: list[int] = []
    found = compare_curvature(rna_model, make_rna(30), make_rna(40, seed=1), CONFIG, done.append)
    assert sum(done) == 70
    assert found.full and found.parameters == 128 * 128
    assert [row.form for row in found.rows] == ["full", "full", "kronecker", "kronecker", "diagonal"]
    assert {row.damping for row in found.rows} == {CONFIG.damping, found.mean_diagonal}
    assert all(row.rank_correlation is not None and -1 <= row.rank_correlation <= 1 for row in found.rows)


def test_a_large_head_is_compared_with_kfac_alone(
    rna_model: MaskedLanguageModel, make_rna: MakeRna, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioprune_core.diagnostics.curvature.MOST_PARAMETERS", 100)
    found = compare_curvature(rna_model, make_rna(10), make_rna(12, seed=1), CONFIG)
    assert not found.full
    assert {row.form for row in found.rows} == {"kronecker", "diagonal"}


def test_where_memory_is_too_small_it_goes_on_in_smaller_batches(
    rna_model: MaskedLanguageModel, make_rna: MakeRna, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, sample = make_rna(12), make_rna(20, seed=1)
    expected = compare_curvature(rna_model, members, sample, CONFIG)
    failed, done = shrink_memory(rna_model, 100, monkeypatch), []
    found = compare_curvature(rna_model, members, sample, CONFIG, done.append)
    # Only the first batches fail: those after them, of the sample too, are made for what fitted.
    assert 1 <= len(failed) <= 3
    assert sum(done) == 32
    assert found.mean_diagonal == pytest.approx(expected.mean_diagonal, rel=1e-5)
    for left, right in zip(found.rows, expected.rows, strict=True):
        assert left.rank_correlation == pytest.approx(right.rank_correlation, abs=0.02)


def test_a_gpus_token_budget_is_not_that_of_float64_on_the_processor(
    rna_model: MaskedLanguageModel, make_rna: MakeRna, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioprune_core.diagnostics.dense_gradients.MOST_TOKENS", 200)
    held: list[int] = []
    for each in dense_gradients(rna_model, make_rna(40), InfluenceConfig(token_budget=1 << 20)):
        assert each.inputs.base is not None
        held.append(each.inputs.base.shape[0] * each.inputs.base.shape[1])
    assert len(held) == 40
    assert 100 < max(held) <= 200


MEASURED = """
import sys
from pathlib import Path

import numpy as np

import bioprune_core.diagnostics.curvature as curvature
from bioprune_core.diagnostics.configuration import MOST_TOKENS
from bioprune_core.diagnostics.dense_gradients import DenseGradient
from bioprune_core.influence import InfluenceConfig

width, members, sample = map(int, sys.argv[1:])


class Model:
    class head:
        class dense:
            class weight:
                shape = (width, width)
                numel = staticmethod(lambda: width**2)


def made(_model, block, *_):
    random = np.random.default_rng(len(block))
    size = MOST_TOKENS // 128
    for start in range(0, len(block), size):
        outputs, inputs = (random.standard_normal((size, 128, width)) for _ in range(2))
        for place in range(min(size, len(block) - start)):
            yield DenseGradient(start + place, outputs[place], inputs[place])


def peak():  # of this process alone; that of getrusage begins with its parent's
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


curvature.dense_gradients = made
square = np.random.default_rng(0).standard_normal((64, 64))
np.linalg.eigh(square @ square.T)  # the libraries and their buffers
before = peak()
curvature.compare_curvature(Model, range(members), range(sample), InfluenceConfig())
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell no process its peak")
def test_the_memory_of_the_comparison_is_what_is_estimated() -> None:
    """In a process of its own, with factors as large as those of a full batch."""
    width, members = 128, 300
    arguments = [str(number) for number in (width, members, 70)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    settings = DiagnosticsConfig(curvature_members=members, curvature_sample=70)
    estimated = curvature_bytes(settings, 10_000, 10_000, width)
    assert int(done.stdout) == pytest.approx(estimated, rel=0.1)


def test_a_sequence_that_does_not_fit_alone_is_named(
    rna_model: MaskedLanguageModel, make_rna: MakeRna, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = make_rna(5)
    longest = int(members.lengths.argmax())
    shrink_memory(rna_model, int(members.lengths.max()) + 1, monkeypatch)
    message = rf"position {longest}, of {members.lengths[longest]} residues, does not fit into the memory"
    with pytest.raises(StageError, match=message):
        compare_curvature(rna_model, members, make_rna(5, seed=1), CONFIG)


def test_neither_batches_nor_order_matter(rna_model: MaskedLanguageModel, make_rna: MakeRna) -> None:
    members, sample = make_rna(12), make_rna(20, seed=1)
    one = compare_curvature(rna_model, members, sample, InfluenceConfig(token_budget=1))
    order = np.arange(20)[::-1]
    other = compare_curvature(rna_model, members, sample.take(order), InfluenceConfig(token_budget=4096))
    assert one.mean_diagonal == pytest.approx(other.mean_diagonal, rel=1e-5)
    for left, right in zip(one.rows, other.rows, strict=True):
        assert left.rank_correlation == pytest.approx(right.rank_correlation, abs=0.02)
