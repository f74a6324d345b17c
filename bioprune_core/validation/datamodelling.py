"""Linear datamodelling: do the influences left in a training set predict the loss it leads to?

A self-influence says what a sequence does to itself. As an attribution of sequence i to a group g that is

    tau(i, g) = I_i  for i in g,  0 for all others,

so the prediction for model k, trained on S_k, is the sum of I_i over the members of g that are in S_k: the
more influence of its own a group keeps, the lower its loss should be. What other sequences do to the group
is not in a self-influence and left out; it is part of what the score cannot explain.
"""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.ranks import rank_correlation

__all__ = ["datamodelling_scores", "draw_groups"]


def draw_groups(sequences: int, size: int, seed: int) -> NDArray[np.int64]:
    """Divide sequences into groups at random.

    Returns:
        The group of each, int64, shape (n,); -1 for the few left over where the size does not divide n.
    """
    groups = np.full(sequences, -1, dtype=np.int64)
    count = sequences // size
    order = np.random.default_rng((seed, sequences)).permutation(sequences)[: count * size]
    groups[order] = np.repeat(np.arange(count), size)
    return groups


def datamodelling_scores(
    scores: NDArray[np.float64],
    losses: NDArray[np.float64],
    included: NDArray[np.bool_],
    groups: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Rank correlation over the models of predicted and actual loss, for every group.

    Args:
        scores: What each sequence is taken to do to its own loss, shape (n,).
        losses: Of every sequence under every model, nats, shape (K, n).
        included: Whether the model was trained with the sequence, shape (K, n).
        groups: Group of each sequence, shape (n,); -1 for none.

    Returns:
        float64, shape (groups,); positive where more score left in goes with a lower loss, NaN where nothing
        varies. Their mean is the linear datamodelling score.

    Source: arXiv 2202.00622 (datamodels); arXiv 2303.14186, section 2 (the score).
    """
    # The models' common ups and downs are not what leaving members out does.
    relative = losses - losses.mean(axis=1, keepdims=True)
    found = np.full(int(groups.max()) + 1, np.nan)
    for group in range(len(found)):
        members = groups == group
        predicted = (included[:, members] * scores[members]).sum(axis=1)
        correlation = rank_correlation(predicted, -relative[:, members].mean(axis=1))
        found[group] = np.nan if correlation is None else correlation
    return found
