"""What categories are called in pictures.

Sequences without a label, and the categories beyond those shown, have no name of their own; no label may pass
for them.
"""

__all__ = ["REST", "category_name"]

REST = "all others"
"""What the categories beyond those with a colour are called together."""

_UNLABELLED = "no label"


def category_name(value: str | None) -> str:
    """The name to show for a category, None being the sequences without a label; never `REST`.

    A label that is really called like one of the two is shown in quotation marks.
    """
    if value is None:
        return _UNLABELLED
    return f'"{value}"' if value.strip('"') in (_UNLABELLED, REST) else value
