"""What is told of one sequence."""

from dataclasses import replace

import pytest

from app.explore_details import _facts
from app.queries.sequence import ScoredSequence
from bioprune_core.alphabet import Alphabet

FOUND = ScoredSequence(0, "a", None, "", "ACGU", 4, 1.0, 0.5, None, None, None, 1, 10)


@pytest.mark.parametrize(
    ("rank", "total", "share"),
    [(2, 4955, "0.1 %"), (50, 1000, "5.0 %"), (51, 1000, "5.1 %"), (1, 3, "33.4 %"), (9, 9, "100.0 %")],
)
def test_a_rank_is_within_the_share_that_is_told(rank: int, total: int, share: str) -> None:
    facts = _facts(replace(FOUND, rank=rank, total=total), Alphabet.RNA)
    assert facts["Influence"].endswith(f"rank {rank:,} of {total:,} (top {share})")
