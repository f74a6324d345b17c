"""Whether scores can be trusted: is the subset large enough, and what does the diagonal leave out.

Names are resolved on first use, so that settings and sentences can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.diagnostics.agreement import Agreement, AgreementVerdict, compare_influences
    from bioprune_core.diagnostics.configuration import DiagnosticsConfig, diagnostics_share
    from bioprune_core.diagnostics.curvature import Curvature, compare_curvature
    from bioprune_core.diagnostics.full_fisher import full_fisher_influence
    from bioprune_core.diagnostics.kronecker import KroneckerFisher
    from bioprune_core.diagnostics.second_subset import second_influence
    from bioprune_core.diagnostics.sentences import Finding, Level, trust_sentences

__all__ = [
    "Agreement",
    "AgreementVerdict",
    "Curvature",
    "DiagnosticsConfig",
    "Finding",
    "KroneckerFisher",
    "Level",
    "compare_curvature",
    "compare_influences",
    "diagnostics_share",
    "full_fisher_influence",
    "second_influence",
    "trust_sentences",
]

_HOMES = {
    "Agreement": "agreement",
    "AgreementVerdict": "agreement",
    "Curvature": "curvature",
    "DiagnosticsConfig": "configuration",
    "Finding": "sentences",
    "KroneckerFisher": "kronecker",
    "Level": "sentences",
    "compare_curvature": "curvature",
    "compare_influences": "agreement",
    "diagnostics_share": "configuration",
    "full_fisher_influence": "full_fisher",
    "second_influence": "second_subset",
    "trust_sentences": "sentences",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
