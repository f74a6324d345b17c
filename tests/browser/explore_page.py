"""The Explore page as a test drives it: waiting for its charts, and brushing them with the mouse."""

from urllib.parse import parse_qs, urlparse

from playwright.sync_api import FloatRect, Page, expect
from synthetic_workspace import add_synthetic_run
from web_server import Server

from app.queries.brush import Brush, brush_of
from bioprune_core.workspace import Project, Run, Workspace

__all__ = [
    "DISTRIBUTION",
    "MAP",
    "box",
    "brush",
    "brush_influence",
    "brush_region",
    "drag",
    "drawn",
    "open_explore",
    "pick_row",
    "rests",
    "selected",
    "show_explore",
    "times",
]

DISTRIBUTION, MAP = 0, 1
ROW_HEIGHT = 36
"""Of the rows of a table, and of its head, in pixels."""


def open_explore(page: Page, server: Server, workspace: Workspace, project: Project, size: int) -> Run:
    """Open the page of an invented run and wait until both charts are drawn."""
    run = add_synthetic_run(workspace, project, size)
    show_explore(page, server, project)
    return run


def show_explore(page: Page, server: Server, project: Project) -> None:
    """Open the page of a project's run and wait until both charts are drawn."""
    page.set_default_timeout(120_000)
    page.goto(f"{server.url}/explore?project={project.id}")
    for chart in (DISTRIBUTION, MAP):
        drawn(page, chart, 1)


def drawn(page: Page, chart: int, times: int) -> None:
    """Wait until a chart has been drawn at least so often."""
    page.wait_for_function(
        "([chart, times]) => +(document.querySelectorAll('.bp-linked')[chart]?.dataset.drawn ?? 0) >= times",
        arg=[chart, times],
    )


def times(page: Page, chart: int) -> int:
    return int(page.locator(".bp-linked").nth(chart).get_attribute("data-drawn") or 0)


def box(page: Page, chart: int) -> FloatRect:
    found = page.locator(".bp-linked").nth(chart).bounding_box()
    assert found is not None
    return found


def drag(page: Page, corners: list[tuple[float, float]]) -> None:
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def brush_influence(page: Page) -> None:
    before, frame = times(page, MAP), box(page, DISTRIBUTION)
    y = frame["y"] + 200
    drag(page, [(frame["x"] + 100, y), (frame["x"] + 150, y + 20), (frame["x"] + 190, y + 40)])
    drawn(page, MAP, before + 1)


def brush_region(page: Page) -> None:
    before, frame = times(page, DISTRIBUTION), box(page, MAP)
    x, y = frame["x"] + 240, frame["y"] + 230
    drag(page, [(x - 90, y - 80), (x + 80, y - 90), (x + 90, y + 80), (x, y + 110), (x - 95, y + 60)])
    drawn(page, DISTRIBUTION, before + 1)


def brush(page: Page) -> Brush:
    parameters = {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}
    return brush_of(parameters)


def selected(page: Page) -> int:
    figure = page.locator(".bp-figures > div").first
    expect(figure.locator("dt")).to_have_text("Selected")
    return int(figure.locator("dd").inner_text().replace(",", ""))


def rests(page: Page) -> None:
    """Wait until no script has run for half a second: what a script draws later moves and replaces tables."""
    page.evaluate("() => { window.lastRun = performance.now(); }")
    page.wait_for_function(
        "() => { const app = document.querySelector('[data-testid=stApp]');"
        " if (app?.dataset.testScriptState !== 'notRunning') window.lastRun = performance.now();"
        " return performance.now() - window.lastRun > 500; }"
    )


def pick_row(page: Page, table: int, row: int) -> None:
    """Pick a row of a table by its mark on the left; the tables draw themselves, so by place.

    Waits first until the page rests: a picked sequence is headed before the table of its neighbours is drawn.

    Args:
        page: The page.
        table: Number of the table on the page, -1 for the last.
        row: From 0.
    """
    rests(page)
    frame = page.get_by_test_id("stDataFrame").nth(table)
    frame.scroll_into_view_if_needed()
    bounds = frame.bounding_box()
    assert bounds is not None
    page.mouse.click(bounds["x"] + 16, bounds["y"] + ROW_HEIGHT * (row + 1.5))
