"""Sequence files in, a pool of normalised, deduplicated sequences out.

The names below load on first use, so that the models can take `sequences.block` without Arrow's readers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.sequences.inputs import is_within
    from bioprune_core.sequences.look import Preview, preview
    from bioprune_core.sequences.options import AmbiguousPolicy, IngestOptions, LengthPolicy
    from bioprune_core.sequences.pipeline import ingest
    from bioprune_core.sequences.pool import Pool
    from bioprune_core.sequences.report import QualityReport

__all__ = [
    "AmbiguousPolicy",
    "IngestOptions",
    "LengthPolicy",
    "Pool",
    "Preview",
    "QualityReport",
    "ingest",
    "is_within",
    "preview",
]

_HOMES = {
    "AmbiguousPolicy": "options",
    "IngestOptions": "options",
    "LengthPolicy": "options",
    "Pool": "pool",
    "Preview": "look",
    "QualityReport": "report",
    "ingest": "pipeline",
    "is_within": "inputs",
    "preview": "look",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
