"""The route that serves Plotly's browser library: from the installed package, packed, cached for good."""

import gzip
from functools import cache
from pathlib import Path

import plotly
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["LIBRARY_PATH", "library_routes"]

LIBRARY_PATH = f"/api/library/plotly-{plotly.__version__}.js"
"""Where charts load the library from; the version is part of the path, so a cached copy never goes stale."""


def library_routes() -> list[Route]:
    """The route, for the server's list."""
    return [Route(LIBRARY_PATH, _library, methods=["GET"])]


def _library(request: Request) -> Response:
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            _packed(), media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"}
        )
    return Response(_plain(), media_type="text/javascript", headers=headers)


def _plain() -> bytes:
    return (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()


@cache
def _packed() -> bytes:
    """4.7 MB as 1.4 MB; packed once a process."""
    return gzip.compress(_plain(), compresslevel=6)
