"""The web server: Streamlit as an ASGI application, with the app's own routes beside it."""

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

from app.download_routes import download_routes
from app.failures import show_failure
from app.gate import Gate
from app.import_folders import listen_on
from app.library_route import library_routes
from app.services import settings, tokens, uploads, workspace
from app.upload_routes import upload_routes

__all__ = ["app", "configuration", "serve"]

_REPOSITORY = Path(__file__).resolve().parents[1]

_HOSTS = settings().host_names

app = st.App(
    Path(__file__).with_name("main.py"),
    routes=[
        *upload_routes(uploads, tokens, workspace),
        *download_routes(workspace, tokens),
        *library_routes(),
    ],
    middleware=[Middleware(Gate, hosts=_HOSTS)],
    on_script_error=show_failure,
)
"""The ASGI application; `uvicorn app.server:app` from the repository's folder serves it too."""


def configuration(address: str | None = None, port: int | None = None) -> dict[str, Any]:
    """Streamlit's options from `.streamlit/config.toml`, whatever the folder the server is started in.

    Args:
        address: Address to listen on instead of the configured one.
        port: Port to listen on instead of the configured one.
    """
    with (_REPOSITORY / ".streamlit" / "config.toml").open("rb") as stream:
        options = dict(_flat(tomllib.load(stream)))
    if _HOSTS:
        options["server.corsAllowedOrigins"] = [
            f"{scheme}://{host}" for host in _HOSTS for scheme in ("http", "https")
        ]
    if address is not None:
        options["server.address"] = address
    if port is not None:
        options["server.port"] = port
    return options


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in table.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return pairs


def serve(address: str | None = None, port: int | None = None) -> None:
    """Serve until interrupted; 127.0.0.1:8501 unless told otherwise."""
    options = configuration(address, port)
    listen_on(str(options["server.address"]))
    app.run(config=options)


def main() -> None:
    """Serve as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m app.server")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on")
    chosen = parser.parse_args()
    serve(chosen.host, chosen.port)


if __name__ == "__main__":
    main()
