"""Numbers as people write them."""

import pytest

from app.experiment_numbers import understood, whole_numbers
from bioprune_core.errors import InputError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2000", [2000]),
        ("2,000", [2000]),
        ("2,000 20,000", [2000, 20000]),
        ("2,000,500", [2000500]),
        ("2000, 20000", [2000, 20000]),
        ("2000,20000", [2000, 20000]),
        ("250, 500", [250, 500]),
        ("250,500,1000", [250, 500, 1000]),
        ("0,1,2", [0, 1, 2]),
        ("0,100", [0, 100]),
        ("1;2 3,", [1, 2, 3]),
        ("", []),
    ],
)
def test_commas_separate_or_group_thousands(text: str, found: list[int]) -> None:
    assert whole_numbers(text, "Sizes") == found


@pytest.mark.parametrize(
    ("text", "readings"),
    [("250,500", "250500 or as 250 and 500"), ("8 100,200,500", "100200500 or as 100, 200 and 500")],
)
def test_a_comma_that_can_be_either_is_refused(text: str, readings: str) -> None:
    with pytest.raises(InputError, match=f"can be read as {readings}. Write"):
        whole_numbers(text, "Sizes")


@pytest.mark.parametrize(
    ("text", "part"), [("100 2k", "2k"), ("2000,000", "000"), ("-1", "-1"), ("²", "²"), ("1,,2", "")]
)
def test_what_is_no_number_is_named(text: str, part: str) -> None:
    with pytest.raises(InputError, match=f"Sizes: '{part}' is no whole number"):
        whole_numbers(text, "Sizes")


@pytest.mark.parametrize(
    ("sizes", "seeds", "words"),
    [
        ([2000], [0, 1, 2, 3, 4], "B = 2,000; 5 seeds: 0 to 4."),
        ([500, 250], [10], "B = 250 and 500; 1 seed: 10."),
        ([1, 2, 3], [0, 1, 7], "B = 1, 2 and 3; 3 seeds: 0, 1 and 7."),
    ],
)
def test_sizes_and_seeds_are_told_as_understood(sizes: list[int], seeds: list[int], words: str) -> None:
    assert understood(sizes, seeds) == words
