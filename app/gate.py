"""Keeps other sites out: which names this server answers to, and from where its own routes may be called."""

import ipaddress
import socket
from collections.abc import Iterable
from functools import cache

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from bioprune_core.settings import host_name

__all__ = ["Gate", "host_is_own"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """ASGI middleware in front of everything.

    A page of another site that points its own name at this address (DNS rebinding) is refused by the
    name in `Host`; a form or script of another site is refused by `Origin` on routes under /api/.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(map(host_name, hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(code=1008, reason="host not allowed")(scope, receive, send)
        else:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if not host_is_own(host, self._hosts):
            return (
                f"This server does not answer to the name {host_name(host)[:120]!r}. "
                "If it should, add the name to BIOPRUNE_HOSTS and start it again."
            )
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            return None
        origin = headers.get("origin")
        if origin is not None:
            if self._is_own(origin, host):
                return None
            return (
                f"{_CROSS_SITE} If {origin[:120]!r} is where they are reached, add that name to "
                "BIOPRUNE_HOSTS and start the server again."
            )
        # Browsers send Origin with every request that changes something; without one it is a program,
        # which has to say so by not pretending to be a page.
        site = headers.get("sec-fetch-site", "none")
        return None if site in {"same-origin", "none"} or scope["method"] in _SAFE_METHODS else _CROSS_SITE

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether a page of this origin is one of this server's.

        A proxy may hand on another `Host` than the browser called, such as the address of this server, so a
        page under a name that the operator gave is one too, at any port. That is safe: whoever serves pages
        under that name is the operator, no other site can give it as `Origin`, and uploads and downloads ask
        for a token of our pages besides, which they cannot read.
        """
        place = origin.partition("://")[2].lower()
        return place == host.lower() or host_name(place) in self._hosts


_CROSS_SITE = "This address can only be called from BioPrune's own pages."


def host_is_own(host: str, allowed: frozenset[str]) -> bool:
    """Whether a `Host` header names this server: an address, localhost, this machine, or an allowed name."""
    name = host_name(host)
    if name in allowed or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in _own_names()
    return True


@cache
def _own_names() -> frozenset[str]:
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})
