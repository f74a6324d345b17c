"""Can these scores be trusted: the diagnostics of a finished run as questions and answers."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.components import note, plain, table
from app.formatting import amount, percent
from bioprune_core.diagnostics import Finding, Level, trust_sentences

__all__ = ["trust_view"]

_FORMS = {"full": "Full Fisher information", "kronecker": "K-FAC", "diagonal": "Diagonal"}


def trust_view(manifest: Mapping[str, Any]) -> None:
    """Every question with its answer, and the figures behind them."""
    st.header("Can these scores be trusted?", anchor=False)
    for finding in trust_sentences(manifest)[1:]:
        _finding(finding)
    figures = _figures(manifest)
    if figures:
        with st.expander("The figures behind it"):
            table(["", "Value"], figures, numbers=(1,))
            note(
                "The second subset is disjoint from the first and of the same size; the model stays the one "
                "adapted to the first. The full Fisher information of M sequences is zero in all but M "
                "directions, where the damping alone decides; so it is compared at two dampings. K-FAC takes "
                "the two sides of the dense layer as independent."
            )


def _finding(finding: Finding) -> None:
    text = f"**{plain(finding.question)}** {plain(finding.sentence)}"
    if finding.level is Level.GOOD:
        st.success(text, icon=":material/check_circle:")
    elif finding.level is Level.CAUTION:
        st.warning(text, icon=":material/warning:")
    else:
        st.info(text, icon=":material/help:")


def _figures(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    diagnostics = manifest.get("diagnostics") or {}
    rows: list[tuple[str, str]] = []
    agreement = diagnostics.get("agreement", {})
    if "verdict" in agreement:
        rows += [
            ("Two subsets, rank correlation", _correlation(agreement["rank_correlation"])),
            ("Two subsets, top tenth in common", percent(agreement["top_overlap"])),
            ("Sequences compared", f"{agreement['sample']:,}"),
        ]
    curvature = diagnostics.get("curvature", {})
    rows += [
        (
            f"{_FORMS[row['form']]} at damping {amount(row['damping'])}, rank correlation",
            _correlation(row["rank_correlation"]),
        )
        for row in curvature.get("rows", ())
    ]
    correlations = manifest.get("rank_correlations") or {}
    adjusted = correlations.get("length_adjusted") or {}
    for values, prefix in ((correlations, "Influence"), (adjusted, "Length-adjusted influence")):
        rows += [
            (f"{prefix}, rank correlation with {name}", _correlation(values[key]))
            for key, name in (("tokens", "length"), ("loss", "loss"), ("gradient_norm", "gradient norm"))
            if key in values
        ]
    return rows


def _correlation(value: float | None) -> str:
    return "none" if value is None else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
