"""The map: landmarks from all levels of influence, laid out by UMAP, everything else placed between them."""

from bioprune_core.embedding.config import MapConfig
from bioprune_core.embedding.run import run_map

__all__ = ["MapConfig", "run_map"]
