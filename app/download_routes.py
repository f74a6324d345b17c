"""The HTTP side of downloads: streamed from the files of the workspace, never held in memory."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from urllib.parse import quote

from anyio import to_thread
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from app.downloads import DOWNLOAD_PATH, Download, open_download
from app.tokens import Action, TokenError, Tokens
from bioprune_core.errors import BioPruneError, ConflictError, NotFoundError
from bioprune_core.workspace import Workspace

__all__ = ["download_routes"]

_LOG = logging.getLogger("bioprune.app.downloads")
_STATUS: tuple[tuple[type[BioPruneError], int], ...] = (
    (TokenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
)


def download_routes(workspace: Callable[[], Workspace], tokens: Callable[[], Tokens]) -> list[Route]:
    """The route of streamed downloads.

    Args:
        workspace: Gives the workspace; called on each request, because it is opened late.
        tokens: Gives what checks tokens.
    """

    async def download(request: Request) -> Response:
        try:
            grant = tokens().check(request.query_params.get("token", ""), Action.DOWNLOAD)
            name = request.path_params["name"]
            found = await to_thread.run_sync(open_download, workspace(), grant, name)
            # The first piece before the answer: what goes wrong at once still gets a sentence and a status.
            first = await to_thread.run_sync(next, found.pieces, b"")
        except BioPruneError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            if status >= 500:
                _LOG.error("%s (%s)", error.message, error.detail, exc_info=error)
            return PlainTextResponse(error.message, status_code=status)
        return StreamingResponse(
            _body(chain([first], found.pieces)), media_type=found.media_type, headers=_headers(found)
        )

    return [Route(DOWNLOAD_PATH + "/{name}", download, methods=["GET"])]


async def _body(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces; an error in their midst cuts the connection, so that no half file looks whole."""
    async for piece in iterate_in_threadpool(pieces):
        yield piece


def _headers(download: Download) -> dict[str, str]:
    return {
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(download.file_name)}",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        # Said here so that the compressing layer leaves big bodies alone; fasta.gz is there for slow lines.
        "Content-Encoding": "identity",
    }
