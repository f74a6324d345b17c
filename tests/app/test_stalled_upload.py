"""A line that dies in the middle of a part: the upload is free again soon, and the browser sends it anew."""

import json
import shutil
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from web_server import REPOSITORY, free_port

from app import upload_routes
from app.tokens import Action, Grant, Tokens
from app.uploads import UploadStore
from bioprune_core.settings import Settings
from bioprune_core.workspace import Workspace

CONTENT = b">a\nACGU\n" * 1000


@pytest.fixture
def served_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Tokens]]:
    """The routes behind a real server, in a thread: its port, and what signs tokens."""
    monkeypatch.setattr(upload_routes, "SILENCE_S", 0.5)
    tokens = Tokens(tmp_path)
    store = UploadStore(tmp_path / "uploads", limit=1 << 20, reserve=0)
    workspace = Workspace.open(tmp_path / "workspace", Settings(database_url=None))
    workspace.create_project("project-1")
    routes = upload_routes.upload_routes(lambda: store, lambda: tokens, lambda: workspace)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started
    yield port, tokens
    server.should_exit = True
    thread.join(30)
    workspace.close()


def test_a_line_that_dies_in_the_middle_of_a_part_frees_the_upload(
    served_uploads: tuple[int, Tokens],
) -> None:
    port, tokens = served_uploads
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        upload = client.post(
            "/api/uploads",
            json={"name": "pool.fasta", "size": len(CONTENT), "modified": 1},
            headers={"X-BioPrune-Token": tokens.issue(Grant(Action.BEGIN_UPLOAD, "project-1"))},
        ).json()
        address = f"/api/uploads/{upload['id']}"
        checksum = {"X-Chunk-CRC32": f"{zlib.crc32(CONTENT):08x}"}
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            request = (
                f"PUT {address}?offset=0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"X-BioPrune-Token: {upload['token']}\r\nX-Chunk-CRC32: {checksum['X-Chunk-CRC32']}\r\n"
                f"Content-Length: {len(CONTENT)}\r\n\r\n"
            )
            line.sendall(request.encode() + CONTENT[: len(CONTENT) // 2])
            # Not a byte more, and no end of the connection either, as when the computer was put to sleep.
            answer = b""
            while piece := line.recv(65_536):
                answer += piece
            assert answer.startswith(b"HTTP/1.1 408 ")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert "nothing has arrived" in json.loads(body)["error"]
            # Else the rest of the part could still arrive on this line and be taken for a request.
            assert b"connection: close" in head.lower().split(b"\r\n")
            token = {"X-BioPrune-Token": upload["token"]}
            assert client.get(address, headers=token).json()["accepted"] == 0
            sent = client.put(f"{address}?offset=0", content=CONTENT, headers=token | checksum)
            assert (sent.status_code, sent.json()["complete"]) == (200, True)
            assert client.delete(address, headers=token).status_code == 204


# Sends one file through the uploader's own code, to a server that answers the first part with `refusals`.
_SENDING = """
import { readFileSync, writeFileSync } from "node:fs";
const [source, copy, refusals] = process.argv.slice(2);
writeFileSync(copy, readFileSync(source, "utf8") + "\\nexport { Manager, Transfer, RETRY_SECONDS };\\n");
globalThis.window = { addEventListener() {} };
const { Manager, Transfer, RETRY_SECONDS } = await import(copy);
RETRY_SECONDS.fill(0.01);
const answers = JSON.parse(refusals);
globalThis.fetch = async (path, { method = "GET" } = {}) => {
  const status = method === "PUT" && answers.length ? answers.shift() : 200;
  const body = status === 200
    ? { id: "u", token: "t", begin: "b", accepted: method === "PUT" ? 4 : 0, complete: method === "PUT" }
    : { error: "Said by the server." };
  return new Response(JSON.stringify(body), { status });
};
const manager = new Manager();
const file = new File(["ACGU"], "pool.fasta", { lastModified: 1 });
const transfer = new Transfer(manager, file);
manager.transfers.push(transfer);
await transfer.run();
console.log(transfer.state);
"""


@pytest.mark.parametrize(("refusals", "state"), [([408], "finished"), ([503], "finished"), ([400], "failed")])
def test_the_browser_sends_a_part_again_that_came_to_a_halt(
    tmp_path: Path, refusals: list[int], state: str
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed; the Debian package is called nodejs")
    script = tmp_path / "sending.mjs"
    script.write_text(_SENDING)
    command = [node, script, REPOSITORY / "app" / "uploader.js", tmp_path / "uploader.mjs"]
    done = subprocess.run(
        [*command, json.dumps(refusals)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (state, "")
