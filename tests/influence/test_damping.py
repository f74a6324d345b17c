import numpy as np
import pytest

from bioprune_core.errors import InputError
from bioprune_core.influence import fisher_scale, score_block
from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock


def test_it_is_the_inverse_root_of_what_is_damped() -> None:
    fisher = np.array([[0.0, 1e-8], [3.0, 1e-30]])
    scale = fisher_scale(fisher, 1e-8)
    np.testing.assert_allclose(scale.values, (fisher.ravel() + 1e-8) ** -0.5, rtol=1e-7)
    assert scale.shape == (2, 2)
    assert scale.values.dtype == np.float32


def test_scores_do_not_depend_on_who_made_it(rna_model: MaskedLanguageModel) -> None:
    config = InfluenceConfig(token_budget=256)
    block = SequenceBlock.from_strings(["ACGUACGU", "GGGACC", "AUUUUUACCGG"])
    fisher = np.random.default_rng(3).random((128, 128))
    by_fisher = score_block(rna_model, block, fisher, config)
    by_scale = score_block(rna_model, block, fisher_scale(fisher, config.damping), config)
    assert np.array_equal(by_fisher.influence, by_scale.influence)


def test_two_diagonals_have_two_origins() -> None:
    fisher = np.ones(5)
    assert fisher_scale(fisher, 1e-8).origin != fisher_scale(2 * fisher, 1e-8).origin


@pytest.mark.parametrize("entry", [-1.0, np.nan, np.inf])
def test_an_impossible_entry_is_refused(entry: float) -> None:
    with pytest.raises(InputError, match="negative, NaN or infinite"):
        fisher_scale(np.array([1.0, entry]), 1e-8)


def test_a_scale_of_another_damping_is_refused() -> None:
    scale = fisher_scale(np.ones(3), 1e-8)
    with pytest.raises(InputError, match=r"damping 1e-08, and 0\.01 is asked for"):
        fisher_scale(scale, 0.01)
