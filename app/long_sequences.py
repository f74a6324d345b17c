"""What to do with sequences longer than the model takes, and with those that cannot be scored."""

from typing import Any

from streamlit.delta_generator import DeltaGenerator

from bioprune_core.influence import TooLong

__all__ = ["long_sequence_fields"]

_POLICIES = {
    TooLong.TRUNCATE: "Score their beginning",
    TooLong.WINDOW: "Score all of them, in windows",
    TooLong.REFUSE: "Stop and name them",
}


def long_sequence_fields(column: DeltaGenerator) -> dict[str, Any]:
    """Ask what happens to sequences with more residues than the model takes.

    Args:
        column: Where to put the control.

    Returns:
        Fields of `InfluenceConfig`; the default is left out.
    """
    chosen = column.selectbox(
        "Sequences that are too long",
        list(_POLICIES),
        format_func=_POLICIES.__getitem__,
        key="too-long",
        help="Of a sequence with more residues than the model takes its beginning is scored, or all of it in "
        "windows whose gradients are summed (not with the objective paper-code).",
    )
    return {} if chosen is TooLong.TRUNCATE else {"too_long": chosen.value}
