"""What a person brushes is saved under a name, and is a coreset like any other."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from explore_page import brush, brush_influence, brush_region, open_explore, selected
from playwright.sync_api import Locator, Page, TimeoutError, expect
from web_server import Server

from bioprune_core.selection import PickedSelection, pick_in_duckdb
from bioprune_core.workspace import Project, Workspace, open_views

pytestmark = pytest.mark.browser

SIZE = 3_000


def save_as(page: Page, name: str) -> None:
    page.get_by_role("button", name="Save as a subset").click()
    field = page.get_by_role("textbox", name="Name of the subset")
    field.fill(name)
    field.press("Enter")
    page.get_by_role("button", name="Save ", exact=False).last.click()


def choose(page: Page, menu: Locator, name: str) -> None:
    """Open a menu and take an option; again, where the menu was closed by the page being drawn."""
    menu.wait_for()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=120_000)
    for patience_ms in (5_000, 10_000, 20_000):
        menu.click()
        with suppress(TimeoutError):
            page.get_by_role("option", name=name).click(timeout=patience_ms)
            return
    raise AssertionError(f"the menu has no {name}")


def test_a_range_and_a_lasso_become_a_coreset(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    run = open_explore(page, server, workspace, project, SIZE)
    page.get_by_role("button", name="Save as a subset").click()
    expect(page.get_by_text("Nothing is brushed yet")).to_be_visible()
    page.keyboard.press("Escape")
    brush_influence(page)
    by_influence = selected(page)
    brush_region(page)
    expect(page.locator(".bp-figures > div").first.locator("dd")).not_to_have_text(f"{by_influence:,}")
    count, drawn = selected(page), brush(page)
    save_as(page, "high and left")
    page.wait_for_url("**/coresets?**coreset=coreset-**")
    expect(page.get_by_role("heading", name="high and left")).to_be_visible()
    expect(page.get_by_text("Picked by hand")).to_be_visible()
    expect(page.get_by_text("not a representative sample")).to_be_visible()
    [coreset] = workspace.coresets(project)
    members = pq.read_table(workspace.directory(coreset) / "members.parquet")["position"].to_numpy()
    with open_views(workspace, run) as views:
        wanted = pick_in_duckdb(views, PickedSelection(drawn)).fetchnumpy()["position"]
    assert len(members) == count
    assert np.array_equal(members, wanted)
    with page.expect_download() as download:
        page.get_by_role("link", name="Ids").click()
    ids = Path(download.value.path()).read_text().splitlines()
    assert ids == [f"seq-{position:08d}" for position in members]
    page.get_by_role("button", name="Show on Explore").click()
    expect(page.get_by_role("button", name="Region of the map")).to_be_visible()
    assert brush(page) == drawn
    assert selected(page) == count
    save_as(page, "High and LEFT")
    expect(page.get_by_role("alert")).to_contain_text("already a coreset")
    page.goto(f"{server.url}/coresets?project={project.id}")
    expect(page.get_by_role("link", name="high and left")).to_be_visible()
    page.goto(f"{server.url}/select?project={project.id}&coreset={coreset.id}")
    compare = page.get_by_role("combobox", name="Compare with a saved coreset")
    choose(page, compare, "high and left")
    expect(page.get_by_text("Jaccard index")).to_be_visible()


def test_an_empty_brush_is_met_at_the_field(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    open_explore(page, server, workspace, project, SIZE)
    page.goto(f"{page.url}&search=no-such-id")
    page.get_by_role("button", name="Save as a subset").click()
    expect(page.get_by_role("alert")).to_contain_text("No sequence lies in what is brushed")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
