"""Numbers as people write them."""

import pytest

from app.experiment_form import whole_numbers
from bioprune_core.errors import InputError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2000", [2000]),
        ("2,000", [2000]),
        ("2,000 20,000", [2000, 20000]),
        ("2000, 20000", [2000, 20000]),
        ("2000,20000", [2000, 20000]),
        ("0,1,2", [0, 1, 2]),
        ("1;2 3,", [1, 2, 3]),
        ("", []),
    ],
)
def test_commas_separate_or_group_thousands(text: str, found: list[int]) -> None:
    assert whole_numbers(text, "Sizes") == found


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(InputError, match=r"Sizes: '2k' is no whole number"):
        whole_numbers("100 2k", "Sizes")
