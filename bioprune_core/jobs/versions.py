"""Versions of everything that may change a result. Kept in manifests; imports none of it."""

import sys
from importlib.metadata import version

__all__ = ["versions"]

_PACKAGES = (
    *("bioprune", "duckdb", "numpy", "pyarrow", "safetensors"),
    *("scikit-learn", "torch", "transformers", "umap-learn"),
)


def versions() -> dict[str, str]:
    """Version by package, and that of Python."""
    return {"python": sys.version.split()[0]} | {package: version(package) for package in _PACKAGES}
