"""A person brushes a run in Chromium: every view follows, the address holds it, undo brings back what was."""

import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import FloatRect, Page, expect
from synthetic_workspace import add_synthetic_run
from web_server import Server

from app.queries.brush import Brush, brush_of
from bioprune_core.workspace import Project, Workspace

pytestmark = pytest.mark.browser

SIZE = 3_000
DISTRIBUTION, MAP = 0, 1


@pytest.fixture
def explore(server: Server, workspace: Workspace, project: Project, page: Page) -> Page:
    """The Explore page of an invented run, with both charts drawn."""
    add_synthetic_run(workspace, project, SIZE)
    page.set_default_timeout(120_000)
    page.goto(f"{server.url}/explore?project={project.id}")
    for chart in (DISTRIBUTION, MAP):
        _drawn(page, chart, 1)
    return page


def _drawn(page: Page, chart: int, times: int) -> None:
    """Wait until a chart has been drawn at least so often."""
    page.wait_for_function(
        "([chart, times]) => +(document.querySelectorAll('.bp-linked')[chart]?.dataset.drawn ?? 0) >= times",
        arg=[chart, times],
    )


def _times(page: Page, chart: int) -> int:
    return int(page.locator(".bp-linked").nth(chart).get_attribute("data-drawn") or 0)


def _box(page: Page, chart: int) -> FloatRect:
    box = page.locator(".bp-linked").nth(chart).bounding_box()
    assert box is not None
    return box


def _drag(page: Page, corners: list[tuple[float, float]]) -> None:
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def _brush_influence(page: Page) -> None:
    before, box = _times(page, MAP), _box(page, DISTRIBUTION)
    y = box["y"] + 200
    _drag(page, [(box["x"] + 100, y), (box["x"] + 150, y + 20), (box["x"] + 190, y + 40)])
    _drawn(page, MAP, before + 1)


def _brush_region(page: Page) -> None:
    before, box = _times(page, DISTRIBUTION), _box(page, MAP)
    x, y = box["x"] + 240, box["y"] + 230
    _drag(page, [(x - 90, y - 80), (x + 80, y - 90), (x + 90, y + 80), (x, y + 110), (x - 95, y + 60)])
    _drawn(page, DISTRIBUTION, before + 1)


def _brush(page: Page) -> Brush:
    parameters = {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}
    return brush_of(parameters)


def _selected(page: Page) -> int:
    figure = page.locator(".bp-figures > div").first
    expect(figure.locator("dt")).to_have_text("Selected")
    return int(figure.locator("dd").inner_text().replace(",", ""))


def test_brushes_narrow_each_other_and_undo_widens_again(explore: Page) -> None:
    _brush_influence(explore)
    by_influence = _selected(explore)
    first = _brush(explore)
    assert 0 < by_influence < SIZE
    assert first.influence is not None
    _brush_region(explore)
    expect(explore.locator(".bp-figures > div").first.locator("dd")).not_to_have_text(f"{by_influence:,}")
    both = _selected(explore)
    assert 0 < both < by_influence
    assert _brush(explore).region is not None
    expect(explore.get_by_text(re.compile(rf"{both:,} sequences, 20 a page"))).to_be_visible()
    explore.get_by_role("button", name="Undo").click()
    expect(explore.locator(".bp-figures > div").first.locator("dd")).to_have_text(f"{by_influence:,}")
    assert _brush(explore) == first
    explore.get_by_role("button", name="Undo").click()
    expect(explore.locator(".bp-figures > div").first.locator("dt")).to_have_text("Sequences")


def test_link_shows_the_same_selection(explore: Page) -> None:
    _brush_influence(explore)
    _brush_region(explore)
    expect(explore.get_by_role("button", name="Region of the map")).to_be_visible()
    count, address = _selected(explore), explore.url
    explore.goto("about:blank")
    explore.goto(address)
    expect(explore.get_by_role("button", name="Region of the map")).to_be_visible()
    assert _selected(explore) == count


def test_zoom_survives_a_brush_in_another_view(explore: Page) -> None:
    plot, box = explore.locator(".bp-linked").nth(MAP), _box(explore, MAP)
    whole = _range(explore)
    plot.hover()
    plot.get_by_role("button", name="Zoom").click()
    _drag(explore, [(box["x"] + 150, box["y"] + 130), (box["x"] + 300, box["y"] + 300)])
    zoomed = _range(explore)
    assert zoomed[1] - zoomed[0] < 0.7 * (whole[1] - whole[0])
    _brush_influence(explore)
    assert _range(explore) == zoomed


def _range(page: Page) -> list[float]:
    found: list[float] = (
        page.locator(".bp-linked").nth(MAP).evaluate("chart => chart._fullLayout.xaxis.range.map(Number)")
    )
    return found


def test_click_on_a_point_shows_its_sequence(explore: Page) -> None:
    before = _times(explore, MAP)
    x, y = (
        explore.locator(".bp-linked")
        .nth(MAP)
        .evaluate(
            "chart => { const points = chart._fullData.find(trace => trace.customdata);"
            " const {xaxis, yaxis} = chart._fullLayout;"
            " return [xaxis.l2p(points.x[7]) + xaxis._offset, yaxis.l2p(points.y[7]) + yaxis._offset]; }"
        )
    )
    box = _box(explore, MAP)
    explore.mouse.move(box["x"] + x, box["y"] + y)
    explore.wait_for_timeout(300)
    explore.mouse.click(box["x"] + x, box["y"] + y)
    _drawn(explore, MAP, before + 1)
    position = parse_qs(urlparse(explore.url).query)["point"][0]
    expect(explore.get_by_role("heading", name=f"seq-{int(position):08d}")).to_be_visible()
    expect(explore.get_by_text(re.compile(r"rank [\d,]+ of 3,000"))).to_be_visible()
    explore.get_by_role("button", name="Close").click()
    expect(explore.get_by_role("heading", name=f"seq-{int(position):08d}")).to_be_hidden()


def test_search_narrows_the_table(explore: Page) -> None:
    explore.get_by_role("textbox", name="Id contains").fill("000012")
    explore.keyboard.press("Enter")
    expect(explore.get_by_text("111 sequences, 20 a page")).to_be_visible()
    assert _brush(explore).search == "000012"
