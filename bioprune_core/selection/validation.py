"""Refusals that arrays and tables of scores share."""

from bioprune_core.errors import SelectionError

__all__ = ["require_finite", "require_rows"]


def require_rows(count: int) -> None:
    """Refuse an empty pool.

    Raises:
        SelectionError: `count` is 0.
    """
    if count == 0:
        raise SelectionError(
            "There are no scores to select from. Score a dataset with at least one sequence."
        )


def require_finite(bad: int, count: int, name: str) -> None:
    """Refuse scores that are missing, NaN or infinite.

    Args:
        bad: How many are.
        count: Of how many.
        name: What they are called in the message.

    Raises:
        SelectionError: `bad` is not 0.
    """
    if bad:
        raise SelectionError(
            f"{bad:,} of {count:,} {name} are missing, NaN or infinite; every one must be a finite number. "
            "Score these sequences again or leave them out."
        )
