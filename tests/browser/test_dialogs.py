"""Dialogs stay open while jobs come and go behind them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocket, expect
from web_server import Server

from bioprune_core.jobs import JobClient, JobKind
from bioprune_core.workspace import Project, Workspace

pytestmark = pytest.mark.browser


@pytest.fixture
def client(workspace: Workspace) -> Iterator[JobClient]:
    """Its jobs wait, as nobody works on them, and are cancelled in the end."""
    with JobClient(workspace) as opened:
        yield opened
        for job in opened.list(limit=0):
            opened.cancel(job.id)


def queued(client: JobClient, workspace: Workspace, project: Project, name: str, folder: Path) -> str:
    file = folder / f"{name}.fasta"
    file.write_text(">a\nACGU\n")
    dataset = workspace.create_dataset(project, name, [file], {"alphabet": "rna"})
    return client.enqueue(JobKind.INGEST, dataset.id)


def test_a_project_is_made_while_jobs_come_and_go(
    page: Page, server: Server, workspace: Workspace, project: Project, client: JobClient, tmp_path: Path
) -> None:
    queued(client, workspace, project, "first waiting", tmp_path)
    page.goto(server.url)
    expect(page.get_by_text("first waiting").first).to_be_visible()
    page.get_by_role("button", name="New project", exact=True).click()
    name = page.get_by_label("Name", exact=True)
    name.fill("Made meanwhile")
    queued(client, workspace, project, "second waiting", tmp_path)
    # Longer than the page takes between two looks at the jobs.
    page.wait_for_timeout(5_000)
    expect(name).to_have_value("Made meanwhile")
    page.keyboard.press("Escape")
    expect(name).to_have_count(0)
    expect(page.get_by_text("second waiting").first).to_be_visible()

    page.get_by_role("button", name="New project", exact=True).click()
    name.fill("Made meanwhile")
    page.get_by_role("button", name="Create project", exact=True).click()
    expect(page.get_by_role("heading", name="Add the first dataset")).to_be_visible()


def test_nothing_asks_for_the_page_behind_the_dialog(
    page: Page, server: Server, workspace: Workspace, project: Project, client: JobClient, tmp_path: Path
) -> None:
    """A look at the jobs that arrived after the project was opened left its page empty."""
    queued(client, workspace, project, "waiting", tmp_path)
    sent: list[object] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(frame))

    page.on("websocket", listen)
    page.goto(server.url)
    expect(page.get_by_text("waiting").first).to_be_visible()
    before = len(sent)
    page.wait_for_timeout(5_000)
    assert len(sent) > before
    page.get_by_role("button", name="New project", exact=True).click()
    expect(page.get_by_label("Name", exact=True)).to_be_visible()
    page.wait_for_timeout(1_000)
    before = len(sent)
    page.wait_for_timeout(5_000)
    assert len(sent) == before


@pytest.mark.parametrize("address", ["", "jobs"], ids=["projects", "jobs"])
def test_a_log_is_read_while_another_job_ends(
    page: Page,
    server: Server,
    workspace: Workspace,
    project: Project,
    client: JobClient,
    tmp_path: Path,
    address: str,
) -> None:
    first = queued(client, workspace, project, f"read{address}", tmp_path)
    page.goto(f"{server.url}/{address}")
    expect(page.get_by_text(f"read{address}").first).to_be_visible()
    page.get_by_role("button", name="Log").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Nothing was printed.")).to_be_visible()
    client.cancel(first)
    queued(client, workspace, project, f"behind{address}", tmp_path)
    page.wait_for_timeout(5_000)
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_text(f"behind{address}").first).to_be_visible()
