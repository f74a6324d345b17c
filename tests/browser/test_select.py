"""A person tunes a coreset in Chromium and saves exactly what was shown."""

import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect
from synthetic_workspace import add_synthetic_run
from web_server import Server

from bioprune_core.selection import select
from bioprune_core.workspace import Project, Workspace

pytestmark = pytest.mark.browser

SIZE = 3_000


@pytest.fixture
def select_page(server: Server, workspace: Workspace, project: Project, page: Page) -> Page:
    """The Select page of an invented run, drawn."""
    add_synthetic_run(workspace, project, SIZE)
    page.set_default_timeout(120_000)
    page.goto(f"{server.url}/select?project={project.id}")
    expect(page.get_by_role("heading", name="Coverage against random")).to_be_visible(timeout=120_000)
    return page


def _expect_figure(page: Page, label: str, value: str) -> None:
    figure = page.locator(".bp-figures > div", has=page.get_by_text(label, exact=True))
    expect(figure.locator("dd")).to_have_text(value)


def _set(page: Page, label: str, value: str) -> None:
    field = page.get_by_role("spinbutton", name=label)
    field.fill(value)
    field.press("Enter")


def test_coreset_saved_from_the_page_is_the_one_python_selects(
    select_page: Page, workspace: Workspace, project: Project
) -> None:
    page = select_page
    _expect_figure(page, "In the coreset", "300")
    _set(page, "Prune rate (alpha, %), exact value", "80.5")
    _expect_figure(page, "In the coreset", "585")
    _set(page, "Hardest cut (beta, %), exact value", "2.5")
    _expect_figure(page, "Removed by the hardest cut", "75")
    _set(page, "Number of strata (k)", "20")
    expect(page.get_by_text("of 20, 0 empty")).to_be_visible()
    expect(page).to_have_url(re.compile(r"alpha=80\.5.*&beta=2\.5.*&k=20"))
    page.get_by_role("button", name="Save 585 sequences").click()
    page.wait_for_url("**/coresets?**coreset=coreset-**")
    [coreset] = workspace.coresets(project)
    members = pq.read_table(workspace.directory(coreset) / "members.parquet")["position"].to_numpy()
    run = workspace.run(coreset.run_id)
    parts = sorted((workspace.directory(run) / "scores").glob("part-*.parquet"))
    scores = pq.read_table(parts)
    expected = select(
        scores["influence"].to_numpy(),
        prune_rate=80.5,
        hardest_cut=2.5,
        strata=20,
        ids=scores["hash"].to_numpy(),
    )
    assert np.array_equal(members, expected)


def test_values_entered_before_the_page_has_followed_all_count(select_page: Page) -> None:
    page = select_page
    _set(page, "Prune rate (alpha, %), exact value", "80.5")
    _set(page, "Hardest cut (beta, %), exact value", "2.5")
    _set(page, "Number of strata (k)", "20")
    _expect_figure(page, "In the coreset", "585")
    _expect_figure(page, "Removed by the hardest cut", "75")
    expect(page.get_by_text("of 20, 0 empty")).to_be_visible()
    for label, value in (("Prune rate", "80.5"), ("Hardest cut", "2.5")):
        expect(page.get_by_role("slider", name=label)).to_have_value(value)


def test_contradicting_rates_are_met_at_the_field(select_page: Page) -> None:
    page = select_page
    _set(page, "Prune rate (alpha, %), exact value", "3")
    expect(page.get_by_role("alert")).to_contain_text("(1 - alpha) + beta")
    expect(page.get_by_role("button", name="Save")).to_be_hidden()
    _set(page, "Hardest cut (beta, %), exact value", "1")
    expect(page.get_by_role("button", name="Save 2,910 sequences")).to_be_visible()


def test_slider_moves_the_exact_value(select_page: Page) -> None:
    page = select_page
    page.get_by_role("slider", name="Prune rate (alpha, %)").press("ArrowLeft")
    expect(page.get_by_role("spinbutton", name="Prune rate (alpha, %), exact value")).to_have_value("89.5")
    expect(page.get_by_role("button", name="Save 315 sequences")).to_be_visible()
    # It is the same slider still, which has the focus.
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="Save 330 sequences")).to_be_visible()
