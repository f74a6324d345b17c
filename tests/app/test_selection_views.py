"""What a selection takes from its strata, as it is drawn on Select and with a saved coreset."""

from app.selection_views import strata_budget
from bioprune_core.selection import StratumCount


def test_the_budget_of_three_strata_is_drawn_with_the_equal_share_and_what_the_cut_removes() -> None:
    strata = [
        StratumCount(index=0, low=0.5, high=1.0, count=40, budget=12),
        StratumCount(index=1, low=1.0, high=1.5, count=0, budget=0),
        StratumCount(index=2, low=1.5, high=2.0, count=3, budget=3),
    ]
    budget = strata_budget(strata, coreset_size=15, removed=7)
    assert budget.low.tolist() == [0.5, 1.0, 1.5]
    assert budget.high.tolist() == [1.0, 1.5, 2.0]
    assert budget.available.tolist() == [40, 0, 3]
    assert budget.taken.tolist() == [12, 0, 3]
    assert (budget.share, budget.removed) == (5.0, 7)
