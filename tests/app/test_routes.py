"""The routes under /api/: what a browser, a program and another site get."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from app.gate import Gate, host_is_own
from app.tokens import Action, Grant, TokenError, Tokens
from app.upload_routes import upload_routes
from app.uploads import UploadStore
from bioprune_core.settings import Settings
from bioprune_core.workspace import Workspace

CONTENT = b">a\nACGU\n" * 1000


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "workspace", Settings(database_url=None))
    opened.create_project("project-1")
    yield opened
    opened.close()


@pytest.fixture
def client(tmp_path: Path, tokens: Tokens, workspace: Workspace) -> Iterator[TestClient]:
    store = UploadStore(tmp_path / "uploads", limit=1 << 20, reserve=0)
    application = Starlette(
        routes=upload_routes(lambda: store, lambda: tokens, lambda: workspace),
        middleware=[Middleware(Gate, hosts=["lab.example"])],
    )
    with TestClient(application, base_url="http://127.0.0.1:8501") as client:
        client.headers["Origin"] = "http://127.0.0.1:8501"
        yield client


def begin(client: TestClient, tokens: Tokens, size: int = len(CONTENT)) -> dict[str, object]:
    token = tokens.issue(Grant(Action.BEGIN_UPLOAD, "project-1"))
    answer = client.post(
        "/api/uploads",
        json={"name": "pool.fasta", "size": size, "modified": 1},
        headers={"X-BioPrune-Token": token},
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def put(client: TestClient, upload: dict[str, object], content: bytes, offset: int, **headers: str):
    return client.put(
        f"/api/uploads/{upload['id']}?offset={offset}",
        content=content,
        headers={
            "X-BioPrune-Token": upload["token"],
            "X-Chunk-CRC32": f"{zlib.crc32(content):08x}",
            **headers,
        },
    )


def test_a_file_arrives_in_chunks(client: TestClient, tokens: Tokens, tmp_path: Path) -> None:
    upload = begin(client, tokens)
    answer = put(client, upload, CONTENT[:3000], 0).json()
    assert (answer["accepted"], answer["complete"]) == (3000, False)
    answer = put(client, answer, CONTENT[3000:], 3000).json()
    assert answer["complete"] is True
    assert next(tmp_path.glob("uploads/*/file/pool.fasta")).read_bytes() == CONTENT


def test_a_wrong_offset_says_where_to_continue(client: TestClient, tokens: Tokens) -> None:
    upload = begin(client, tokens)
    put(client, upload, CONTENT[:3000], 0)
    answer = put(client, upload, CONTENT[4000:], 4000)
    assert (answer.status_code, answer.json()["accepted"]) == (409, 3000)


def test_a_damaged_chunk_is_asked_for_again(client: TestClient, tokens: Tokens) -> None:
    upload = begin(client, tokens)
    answer = put(client, upload, CONTENT[:3000], 0, **{"X-Chunk-CRC32": "00000000"})
    assert answer.status_code == 422
    assert (
        client.get(f"/api/uploads/{upload['id']}", headers={"X-BioPrune-Token": upload["token"]}).json()[
            "accepted"
        ]
        == 0
    )


def test_each_answer_renews_the_token(client: TestClient, tokens: Tokens) -> None:
    upload = begin(client, tokens)
    answer = put(client, upload, CONTENT[:3000], 0).json()
    assert tokens.check(answer["token"], Action.UPLOAD).target == upload["id"]


def test_each_answer_lets_the_next_file_begin(client: TestClient, tokens: Tokens) -> None:
    upload = begin(client, tokens)
    answer = put(client, upload, CONTENT[:3000], 0).json()
    granted = Grant(Action.BEGIN_UPLOAD, "project-1")
    assert [tokens.check(str(each["begin"]), Action.BEGIN_UPLOAD) for each in (upload, answer)] == [
        granted
    ] * 2


def test_the_token_leaves_the_login_of_a_proxy_alone(client: TestClient, tokens: Tokens) -> None:
    """A browser sends the password of a login in Authorization; two things do not fit there."""
    upload = begin(client, tokens)
    answer = put(client, upload, CONTENT[:3000], 0, Authorization="Basic bGFiOnNlY3JldA==")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 3000)


def test_an_upload_can_be_discarded(client: TestClient, tokens: Tokens) -> None:
    upload = begin(client, tokens)
    headers = {"X-BioPrune-Token": upload["token"]}
    assert client.delete(f"/api/uploads/{upload['id']}", headers=headers).status_code == 204
    assert client.get(f"/api/uploads/{upload['id']}", headers=headers).status_code == 404


def test_no_file_goes_into_a_project_that_was_deleted(
    client: TestClient, tokens: Tokens, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.delete(workspace.project("project-1"))
    answer = client.post(
        "/api/uploads",
        json={"name": "pool.fasta", "size": len(CONTENT), "modified": 1},
        headers={"X-BioPrune-Token": tokens.issue(Grant(Action.BEGIN_UPLOAD, "project-1"))},
    )
    assert answer.status_code == 404
    assert "project" in answer.json()["error"] and "deleted" in answer.json()["error"]
    assert not list(tmp_path.glob("uploads/upload-*"))


def test_a_token_opens_nothing_but_its_own_file(client: TestClient, tokens: Tokens) -> None:
    upload = begin(client, tokens)
    other = tokens.issue(Grant(Action.UPLOAD, "project-1", "upload-of-somebody-else"))
    assert put(client, {**upload, "token": other}, CONTENT[:10], 0).status_code == 401
    project = tokens.issue(Grant(Action.BEGIN_UPLOAD, "project-1"))
    assert put(client, {**upload, "token": project}, CONTENT[:10], 0).status_code == 401
    assert client.post("/api/uploads", json={}).status_code == 401


def test_an_unreadable_request_gets_a_sentence(client: TestClient, tokens: Tokens) -> None:
    token = tokens.issue(Grant(Action.BEGIN_UPLOAD, "project-1"))
    answer = client.post("/api/uploads", content=b"{", headers={"X-BioPrune-Token": token})
    assert answer.status_code == 400
    assert "name, size and time" in answer.json()["error"]


def test_an_oversized_file_is_refused(client: TestClient, tokens: Tokens) -> None:
    token = tokens.issue(Grant(Action.BEGIN_UPLOAD, "project-1"))
    answer = client.post(
        "/api/uploads",
        json={"name": "pool.fasta", "size": 1 << 30, "modified": 1},
        headers={"X-BioPrune-Token": token},
    )
    assert answer.status_code == 413
    assert "at most" in answer.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null"])
def test_another_site_cannot_call_the_routes(client: TestClient, tokens: Tokens, origin: str) -> None:
    token = tokens.issue(Grant(Action.BEGIN_UPLOAD, "project-1"))
    answer = client.post(
        "/api/uploads",
        json={"name": "a", "size": 1, "modified": 1},
        headers={"X-BioPrune-Token": token, "Origin": origin},
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://lab.example", "127.0.0.1:8501"),
        ("https://lab.example", "lab.example:443"),
        ("https://lab.example:8443", "lab.example:8443"),
        ("https://LAB.example:8443", "lab.example"),
    ],
)
def test_pages_under_a_further_name_can_call_the_routes_whatever_host_a_proxy_hands_on(
    client: TestClient, tokens: Tokens, origin: str, host: str
) -> None:
    client.headers.update({"Origin": origin, "Host": host})
    assert begin(client, tokens)["accepted"] == 0


def test_a_page_under_an_unknown_name_is_told_the_setting(client: TestClient) -> None:
    answer = client.post("/api/uploads", headers={"Origin": "https://pool.example"})
    assert answer.status_code == 403
    assert "'https://pool.example'" in answer.text and "BIOPRUNE_HOSTS" in answer.text


@pytest.mark.parametrize("hosts", ["lab.example:8443", " Lab.Example , pool.example:80", "lab.example"])
def test_further_names_are_answered_at_any_port(hosts: str) -> None:
    application = Starlette(middleware=[Middleware(Gate, hosts=Settings(hosts=hosts).host_names)])
    with TestClient(application) as client:
        for host in ("lab.example", "lab.example:8443", "LAB.example:443"):
            assert client.get("/", headers={"Host": host}).status_code == 404
        refused = client.get("/", headers={"Host": "other.example:8443"})
    assert refused.status_code == 403
    assert "the name 'other.example'." in refused.text


def test_an_address_of_a_page_is_no_host_name() -> None:
    with pytest.raises(ValidationError, match=r"write the host name alone, such as lab\.example\.org"):
        Settings(hosts="https://lab.example/")


def test_a_foreign_name_for_this_server_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "rebound.example"}).status_code == 403
    assert client.get("/", headers={"Host": "lab.example:8501"}).status_code == 404


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:8501", True),
        ("127.0.0.1", True),
        ("[::1]:8501", True),
        ("192.168.1.20:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_own_hosts(host: str, own: bool) -> None:
    assert host_is_own(host, frozenset()) is own


def test_tokens_outlive_a_restart_and_expire(tmp_path: Path) -> None:
    grant = Grant(Action.DOWNLOAD, "project-1", "coreset/c/fasta")
    token = Tokens(tmp_path).issue(grant)
    assert Tokens(tmp_path).check(token, Action.DOWNLOAD) == grant
    with pytest.raises(TokenError, match="expired"):
        Tokens(tmp_path, lifetime_s=-1).check(token, Action.DOWNLOAD)
    with pytest.raises(TokenError, match="not valid"):
        Tokens(tmp_path).check(token[:-2] + "xx", Action.DOWNLOAD)
    assert (tmp_path / "web-secret").stat().st_mode & 0o077 == 0


def test_another_workspace_does_not_accept_the_token(tmp_path: Path) -> None:
    token = Tokens(tmp_path / "one").issue(Grant(Action.DOWNLOAD, "p", "t"))
    with pytest.raises(TokenError):
        Tokens(tmp_path / "two").check(token, Action.DOWNLOAD)
