"""What a draw consists of, in the columns that stand beside every arm."""

import numpy as np
import pytest
from planned_trial import make_pool

from bioprune_core.experiments import CoresetColumns, describe_draw
from bioprune_core.experiments.columns import average_columns, mixture_distance


def test_control_columns_of_a_draw_worked_by_hand() -> None:
    pool = make_pool(
        lengths=np.arange(400),
        groups={
            "label": np.where(np.arange(400) < 104, np.arange(400) - 101, -1),
            "cluster": np.where(np.arange(400) < 102, 5, np.where(np.arange(400) < 104, -1, 9)),
            "source": np.arange(400) % 2,
        },
        near_tests=np.arange(400) % 2 == 1,
    )
    found = describe_draw(np.array([100, 101, 102, 103, 104]), pool, "source")
    # Clusters 5, 5, none, none and 9: one of five would go. Labels: none, 0, 1, 2 and none.
    assert found == CoresetColumns(5, 102.0, pytest.approx(0.2), 3, pytest.approx(0.1), pytest.approx(0.4))
    assert describe_draw(np.empty(0, np.int64), pool, "source").mean_length is None
    assert describe_draw(np.array([40]), make_pool(groups={}), "source").near_duplicate_share is None


def test_mixture_distance_is_total_variation() -> None:
    assert mixture_distance(np.array([0, 1]), np.array([1, 1, 0, 0])) == 0
    assert mixture_distance(np.array([0, 0]), np.array([1, 2])) == 1
    assert mixture_distance(np.array([0, 0, 1, -1]), np.array([0, 1])) == pytest.approx(0.25)


def test_columns_are_averaged_over_seeds_and_none_stays_none() -> None:
    draws = [CoresetColumns(4, 2.0, None, 3, 0.5), CoresetColumns(6, 4.0, 0.5, 4, 0.7)]
    assert average_columns(draws) == CoresetColumns(5, 3.0, None, 3.5, pytest.approx(0.6))
