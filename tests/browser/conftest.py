"""A real server on a temporary workspace, and Chromium looking at it."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from web_server import Server, free_port

from bioprune_core.workspace import Project, Workspace

# The machine may be busy with other tests.
expect.set_options(timeout=30_000)

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def playwright_driver() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(playwright_driver: Playwright) -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("Chromium is not installed; the Debian package is called chromium")
    browser = playwright_driver.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests; each has a project of its own."""
    folder = tmp_path_factory.mktemp("server")
    server = Server(free_port(), folder / "workspace", folder / "server.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def workspace(server: Server) -> Iterator[Workspace]:
    """The workspace of `server`, opened from here to put things into it."""
    opened = Workspace.open(server.workspace)
    yield opened
    opened.close()


@pytest.fixture
def project(workspace: Workspace, request: pytest.FixtureRequest) -> Project:
    """An empty project, named after the test."""
    return workspace.create_project(request.node.name.replace("_", " ")[:90])


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page at 1440 px; fails the test when a script of the page raises."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(30_000)
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert errors == []
