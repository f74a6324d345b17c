"""Which families of a pool are kept from every arm, to measure losses on what no network has seen."""

from pathlib import Path

import streamlit as st

from app.services import workspace
from bioprune_core.workspace import Dataset
from bioprune_core.workspace.positioned import parts_of
from bioprune_core.workspace.views import connect, create_view

__all__ = ["held_out_families"]

_SUGGESTED = 5
# Fewer sequences say little, and larger families are a part of the pool that arms would miss.
_LEAST, _LARGEST_SHARE = 20, 0.02
_OFFERED = 500


def held_out_families(dataset: Dataset) -> list[str]:
    """Draw the choice, where the pool has labels enough to keep some; the families chosen."""
    offered = _families(str(workspace().directory(dataset) / "sequences"))
    if len(offered) < 2 * _SUGGESTED:
        return []
    return st.multiselect(
        "Families kept from every arm",
        offered,
        default=offered[:_SUGGESTED],
        key=f"families-{dataset.id}",
        accept_new_options=True,
        help="Labels of the pool. Losses are measured on all their sequences: held-out random sequences have "
        "relatives in the arms, and more in some than in others. Others than those listed can be typed in.",
    )


@st.cache_data(max_entries=16, show_spinner="Counting families")
def _families(folder: str) -> list[str]:
    """Labels of a size to be kept, in an order of no meaning that stays the same."""
    with connect() as connection:
        create_view(connection, "pool", parts_of(Path(folder)))
        found = connection.execute(
            "SELECT label FROM pool WHERE label <> '' GROUP BY label "
            "HAVING count(*) BETWEEN ? AND ? * (SELECT count(*) FROM pool) ORDER BY md5(label) LIMIT ?",
            [_LEAST, _LARGEST_SHARE, _OFFERED],
        ).fetchall()
    return [label for (label,) in found]
