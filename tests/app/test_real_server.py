"""A real server: large bodies pass through it without staying in memory."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from web_server import Server, free_port

from app.tokens import Action, Grant, Tokens
from bioprune_core.workspace import Workspace

MEBIBYTE = 1 << 20
CHUNK = bytes(range(256)) * (8 * MEBIBYTE // 256)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(free_port(), tmp_path / "workspace", tmp_path / "server.log")
    server.start()
    yield server
    server.kill()


def test_an_upload_of_any_size_stays_out_of_memory(server: Server) -> None:
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    chunks = 16
    tokens = Tokens(server.workspace)
    workspace = Workspace.open(server.workspace)
    project = workspace.create_project("Large files")
    workspace.close()
    origin = {"Origin": server.url}
    with httpx.Client(base_url=server.url, headers=origin, timeout=60) as client:
        upload = client.post(
            "/api/uploads",
            json={"name": "large.bin", "size": chunks * len(CHUNK), "modified": 1},
            headers={"X-BioPrune-Token": tokens.issue(Grant(Action.BEGIN_UPLOAD, project.id))},
        ).json()
        before, most = process.memory_info().rss, 0
        while not upload["complete"]:
            answer = client.put(
                f"/api/uploads/{upload['id']}?offset={upload['accepted']}",
                content=CHUNK,
                headers={
                    "X-BioPrune-Token": upload["token"],
                    "X-Chunk-CRC32": f"{zlib.crc32(CHUNK):08x}",
                },
            )
            assert answer.status_code == 200, answer.text
            upload = answer.json()
            most = max(most, process.memory_info().rss)
    (path,) = server.workspace.glob("uploads/*/file/large.bin")
    assert path.stat().st_size == 128 * MEBIBYTE
    # A quarter of the file: one chunk and some slack of the allocator, but never the whole.
    assert most - before < 32 * MEBIBYTE


def test_it_listens_on_this_machine_only_and_ends_on_request(server: Server) -> None:
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    listening = {
        connection.laddr.ip for connection in process.net_connections() if connection.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}
    process.terminate()
    assert process.wait(timeout=20) is not None
