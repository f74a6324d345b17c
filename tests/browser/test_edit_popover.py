"""The popover "Edit" by the keyboard."""

import pytest
from playwright.sync_api import Page, expect
from web_server import Server

from bioprune_core.workspace import Project, Workspace

pytestmark = pytest.mark.browser


def test_tab_leads_from_a_changed_name_to_saving_it_and_not_to_deletion(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    page.goto(server.url)
    row = page.locator(f".st-key-row-{project.id}")
    row.get_by_role("button", name="Edit").click()
    name = page.get_by_label("Name", exact=True)
    name.fill("Named by the keyboard")
    name.press("Tab")
    expect(page.get_by_role("button", name="Rename")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row.get_by_role("link", name="Named by the keyboard")).to_be_visible()
    assert workspace.project(project.id).name == "Named by the keyboard"
