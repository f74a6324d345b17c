"""The stage of a scoring that asks whether its scores can be trusted; it changes none of them."""

from collections.abc import Mapping
from typing import Any

from bioprune_core.diagnostics.configuration import DiagnosticsConfig
from bioprune_core.jobs.context import StageContext
from bioprune_core.workspace.configuration import RunConfig

__all__ = ["diagnose"]


def diagnose(context: StageContext) -> Mapping[str, Any]:
    """Compare the scores with those of a second subset and of other forms of the Fisher: diagnostics/."""
    config = RunConfig.from_json(context.config)
    settings = DiagnosticsConfig.from_json(config.diagnostics)
    if not settings.enabled:
        return {
            "settings": settings.to_json(),
            "reason": "Not computed: on this pool it would have made the run more than a tenth longer, or it "
            "was switched off. Ask for it under More settings, or with --diagnostics.",
        }
    # Loading what computes takes seconds, and most small runs do without.
    from bioprune_core.jobs.diagnosis import diagnosis

    return diagnosis(context, config, settings)
