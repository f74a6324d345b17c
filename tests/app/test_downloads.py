"""Downloads: the bytes of the export, streamed, for who holds the right token."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from workspace_samples import open_workspace, sample_project

from app import downloads
from app.download_routes import download_routes
from app.downloads import DownloadKind, download_url
from app.tokens import Action, Grant, Tokens
from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import Coreset, ExportFormat, Project, Workspace, export_coreset, export_scores

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tokens:
    tokens = Tokens(tmp_path / "workspace")
    monkeypatch.setattr(downloads, "tokens", lambda: tokens)
    return tokens


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = open_workspace(tmp_path / "workspace")
    yield workspace
    workspace.close()


@pytest.fixture
def sample(workspace: Workspace, tmp_path: Path) -> SimpleNamespace:
    source = tmp_path / "sample.fa"
    source.write_text(">a\nACGU\n")
    project, dataset, _, run = sample_project(workspace, source)
    coreset = workspace.create_coreset(run, "my coreset, 90 %", SelectionConfig(prune_rate=50, strata=5))
    return SimpleNamespace(project=project, dataset=dataset, run=run, coreset=coreset)


@pytest.fixture
def get(workspace: Workspace, tokens: Tokens) -> Iterator[Callable[[str], object]]:
    application = Starlette(routes=download_routes(lambda: workspace, lambda: tokens))
    with TestClient(application, base_url="http://127.0.0.1:8501") as client:
        yield client.get


def address(project: Project, coreset: Coreset, file_format: str = "fasta") -> str:
    return download_url(project.id, DownloadKind.CORESET, coreset.id, file_format, coreset.name)


@pytest.mark.parametrize("file_format", list(ExportFormat))
def test_a_coreset_is_downloaded_byte_for_byte(
    workspace: Workspace,
    sample: SimpleNamespace,
    get,
    file_format: ExportFormat,
    tmp_path: Path,
    tokens: Tokens,
) -> None:
    answer = get(address(sample.project, sample.coreset, file_format.value))
    export_coreset(workspace, sample.coreset, file_format, tmp_path / "exported")
    assert answer.status_code == 200
    assert answer.content == (tmp_path / "exported").read_bytes()


def test_scores_and_manifests_are_downloaded(
    workspace: Workspace, sample: SimpleNamespace, get, tmp_path: Path, tokens: Tokens
) -> None:
    url = download_url(sample.project.id, DownloadKind.SCORES, sample.run.id, "parquet", sample.run.name)
    export_scores(workspace, sample.run, tmp_path / "scores.parquet")
    assert get(url).content == (tmp_path / "scores.parquet").read_bytes()
    manifest = get(address(sample.project, sample.coreset, "json")).json()
    assert manifest["coreset"]["id"] == sample.coreset.id
    url = download_url(sample.project.id, DownloadKind.RUN, sample.run.id, "json", sample.run.name)
    assert get(url).json()["kind"] == "run"


def test_the_file_has_a_name_that_every_system_takes(sample: SimpleNamespace, get, tokens: Tokens) -> None:
    url = address(sample.project, sample.coreset, "ids")
    assert urlsplit(url).path == "/api/downloads/my-coreset-90-ids.txt"
    assert "my-coreset-90-ids.txt" in get(url).headers["content-disposition"]


def test_nothing_is_compressed_on_the_way(sample: SimpleNamespace, get, tokens: Tokens) -> None:
    assert get(address(sample.project, sample.coreset)).headers["content-encoding"] == "identity"


@pytest.mark.parametrize("token", ["", "x.y.z"])
def test_no_token_no_download(sample: SimpleNamespace, get, token: str, tokens: Tokens) -> None:
    answer = get(f"/api/downloads/coreset.fasta?token={token}")
    assert answer.status_code == 403
    assert "Reload the page" in answer.text


def test_a_token_of_another_project_opens_nothing(
    workspace: Workspace, sample: SimpleNamespace, get, tokens: Tokens
) -> None:
    other = workspace.create_project("Other")
    assert get(address(other, sample.coreset)).status_code == 404


def test_an_upload_token_opens_no_download(sample: SimpleNamespace, get, tokens: Tokens) -> None:
    token = tokens.issue(Grant(Action.UPLOAD, sample.project.id, f"coreset/{sample.coreset.id}/fasta"))
    assert get(f"/api/downloads/coreset.fasta?token={token}").status_code == 403


def test_what_was_deleted_is_answered_with_a_sentence(
    workspace: Workspace, sample: SimpleNamespace, get, tokens: Tokens
) -> None:
    url = address(sample.project, sample.coreset)
    workspace.delete(sample.coreset)
    answer = get(url)
    assert answer.status_code == 404
    assert re.search(r"no coreset", answer.text)


def test_the_token_names_project_kind_thing_and_format(sample: SimpleNamespace, tokens: Tokens) -> None:
    (token,) = parse_qs(urlsplit(address(sample.project, sample.coreset, "csv")).query)["token"]
    grant = tokens.check(token, Action.DOWNLOAD)
    assert grant == Grant(Action.DOWNLOAD, sample.project.id, f"coreset/{sample.coreset.id}/csv")


def test_the_address_of_every_download_is_renewed_while_its_page_is_open() -> None:
    """An address is good for 15 minutes, a page stays open for longer."""
    found = []
    for path in sorted([*(REPOSITORY / "pages").glob("*.py"), *(REPOSITORY / "app").glob("*.py")]):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            if any(isinstance(call.func, ast.Name) and call.func.id == "download_url" for call in calls):
                found.append(path.name)
                decorators = [ast.unparse(each) for each in function.decorator_list]
                assert any(re.match(r"st\.fragment\(run_every=", each) for each in decorators), path.name
    assert found == ["run_views.py", "coresets.py", "data.py", "evaluate.py"]
