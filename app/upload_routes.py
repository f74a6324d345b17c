"""The HTTP side of chunked uploads: begin, ask, send a chunk, discard. Bodies go to disk piece by piece."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from anyio import fail_after, to_thread
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.tokens import Action, Grant, TokenError, Tokens
from app.upload_chunks import ChunkError, ChunkWriter, OffsetError, TooLargeError
from app.uploads import Upload, UploadStore
from bioprune_core.errors import BioPruneError, ConflictError, InputError, NotFoundError, StorageError
from bioprune_core.workspace import Workspace

__all__ = ["UPLOAD_PATH", "upload_routes"]

UPLOAD_PATH = "/api/uploads"
LARGEST_CHUNK_BYTES = 32 << 20
_WRITE_BYTES = 1 << 20

SILENCE_S = 60.0
"""A part of which not a byte arrives for so long is given up: its line has died, and while the server waits
nobody can resume or discard the upload, nor delete its project. The web server itself would wait for ever."""

_LOG = logging.getLogger("bioprune.app.uploads")


class _SilenceError(BioPruneError):
    """Nothing more of a part has arrived for too long; nothing of it was kept."""


_TIMED_OUT = 408
_STATUS: tuple[tuple[type[BioPruneError], int], ...] = (
    (TokenError, 401),
    (_SilenceError, _TIMED_OUT),
    (NotFoundError, 404),
    (ConflictError, 409),
    (TooLargeError, 413),
    (ChunkError, 422),
    (InputError, 400),
    (StorageError, 507),
)
_Endpoint = Callable[[Request], Awaitable[Response]]


class _NewFile(BaseModel, frozen=True):
    """What the browser says of a file that it wants to send."""

    name: str
    size: int
    modified: int


def upload_routes(
    store: Callable[[], UploadStore],
    tokens: Callable[[], Tokens],
    workspace: Callable[[], Workspace],
) -> list[Route]:
    """The routes of chunked uploads.

    Args:
        store: Gives the workspace's uploads; called on each request, because the workspace is opened late.
        tokens: Gives what signs tokens.
        workspace: Gives the workspace, whose projects files go to.
    """

    async def begin(request: Request) -> Response:
        grant = tokens().check(_token(request), Action.BEGIN_UPLOAD)
        try:
            file = _NewFile.model_validate_json(await request.body())
        except ValidationError as error:
            raise InputError(
                "The browser did not say name, size and time of the file.", str(error)
            ) from error
        await to_thread.run_sync(_check_project, workspace(), grant.project)
        upload = await to_thread.run_sync(store().begin, grant.project, file.name, file.size, file.modified)
        return _answer(upload, tokens())

    async def status(request: Request) -> Response:
        upload = _granted(request, store(), tokens())
        return _answer(await to_thread.run_sync(store().resume, upload.id), tokens())

    async def send(request: Request) -> Response:
        upload = _granted(request, store(), tokens())
        offset, checksum, length = _chunk_header(request)
        if length > LARGEST_CHUNK_BYTES:
            raise TooLargeError(f"A chunk may have at most {LARGEST_CHUNK_BYTES:,} bytes, not {length:,}.")
        with store().chunk(upload.id, offset) as chunk:
            await _receive(request, chunk)
            written = await to_thread.run_sync(chunk.commit, checksum)
            upload = await to_thread.run_sync(store().accept, upload.id, offset, written)
        return _answer(upload, tokens())

    async def discard(request: Request) -> Response:
        upload = _granted(request, store(), tokens())
        await to_thread.run_sync(store().remove, upload.id)
        return Response(status_code=204)

    one = UPLOAD_PATH + "/{upload}"
    return [
        Route(UPLOAD_PATH, _with_errors(begin), methods=["POST"]),
        Route(one, _with_errors(status), methods=["GET"]),
        Route(one, _with_errors(send), methods=["PUT"]),
        Route(one, _with_errors(discard), methods=["DELETE"]),
    ]


async def _receive(request: Request, chunk: ChunkWriter) -> None:
    """Write the body as it arrives; at most a mebibyte and one network read of it is in memory."""
    pending = bytearray()
    async for piece in _pieces(request):
        pending += piece
        if len(pending) >= _WRITE_BYTES:
            await to_thread.run_sync(chunk.write, bytes(pending))
            pending.clear()
    await to_thread.run_sync(chunk.write, bytes(pending))


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            with fail_after(SILENCE_S):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            # As an error of the operating system, which a time-out is, it would count as one of the disk.
            raise _SilenceError(
                f"Of this part of the file nothing has arrived for {SILENCE_S:.0f} seconds. It is sent again."
            ) from error
        yield piece


def _check_project(workspace: Workspace, project: str) -> None:
    """Refuse files for a project that is gone: its page may still be open, and a token outlives it."""
    try:
        workspace.project(project)
    except NotFoundError as error:
        raise NotFoundError(
            "The project that this file was for has been deleted. Choose another project.", error.message
        ) from error


def _token(request: Request) -> str:
    # Not in Authorization, where a proxy with a login of its own looks for the person's password.
    token = request.headers.get("x-bioprune-token", "")
    if not token:
        raise TokenError("The request carries no token. Reload the page and try again.")
    return token


def _granted(request: Request, store: UploadStore, tokens: Tokens) -> Upload:
    grant = tokens.check(_token(request), Action.UPLOAD)
    if grant.target != request.path_params["upload"]:
        raise TokenError("The token is for another file. Reload the page and try again.")
    return store.get(grant.target)


def _chunk_header(request: Request) -> tuple[int, int, int]:
    try:
        offset = int(request.query_params["offset"])
        checksum = int(request.headers["x-chunk-crc32"], 16)
        length = int(request.headers["content-length"])
    except (KeyError, ValueError) as error:
        raise InputError(
            "A chunk needs ?offset=, X-Chunk-CRC32 (hexadecimal) and Content-Length.", str(error)
        ) from error
    return offset, checksum, length


def _answer(upload: Upload, tokens: Tokens) -> JSONResponse:
    """Where the upload stands, with fresh tokens: a long upload never outlives its own, and a file that waits
    behind it can begin though the page that asks for tokens is closed."""
    return JSONResponse(
        {
            "id": upload.id,
            "name": upload.name,
            "size": upload.size,
            "accepted": upload.accepted,
            "complete": upload.complete,
            "token": tokens.issue(Grant(Action.UPLOAD, upload.project, upload.id)),
            "begin": tokens.issue(Grant(Action.BEGIN_UPLOAD, upload.project)),
        }
    )


def _with_errors(endpoint: _Endpoint) -> _Endpoint:
    """Answer an error with its sentence and the status that tells the browser whether to try again."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            # Paused or closed in the middle of a chunk; nothing of it counts.
            return Response(status_code=400)
        except BioPruneError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            if status >= 500:
                _LOG.error("%s (%s)", error.message, error.detail, exc_info=error)
            content: dict[str, Any] = {"error": error.message}
            if isinstance(error, OffsetError):
                content["accepted"] = error.accepted
            # Behind a part that was given up, its rest could still arrive and be taken for a request.
            headers = {"Connection": "close"} if status == _TIMED_OUT else None
            return JSONResponse(content, status_code=status, headers=headers)

    return guarded
