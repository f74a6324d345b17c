"""A person brushes a run in Chromium: every view follows, the address holds it, undo brings back what was."""

import re
from urllib.parse import parse_qs, urlparse

import pytest
from explore_page import (
    MAP,
    box,
    brush,
    brush_influence,
    brush_region,
    drag,
    drawn,
    pick_row,
    selected,
    show_explore,
    times,
)
from playwright.sync_api import Locator, Page, expect
from synthetic_workspace import add_synthetic_run
from web_server import Server

from bioprune_core.workspace import Project, Workspace

pytestmark = pytest.mark.browser

SIZE = 3_000


@pytest.fixture(scope="module")
def explored(server: Server) -> Project:
    """A project with an invented run; the server prepares a run once, and no test here changes it."""
    workspace = Workspace.open(server.workspace)
    project = workspace.create_project("explored")
    add_synthetic_run(workspace, project, SIZE)
    workspace.close()
    return project


@pytest.fixture
def explore(server: Server, explored: Project, page: Page) -> Page:
    """The Explore page of the invented run, with both charts drawn."""
    show_explore(page, server, explored)
    return page


def test_brushes_narrow_each_other_and_undo_widens_again(explore: Page) -> None:
    brush_influence(explore)
    by_influence = selected(explore)
    first = brush(explore)
    assert 0 < by_influence < SIZE
    assert first.influence is not None
    brush_region(explore)
    expect(explore.locator(".bp-figures > div").first.locator("dd")).not_to_have_text(f"{by_influence:,}")
    both = selected(explore)
    assert 0 < both < by_influence
    assert brush(explore).region is not None
    expect(explore.get_by_text(re.compile(rf"{both:,} sequences, 20 a page"))).to_be_visible()
    explore.get_by_role("button", name="Undo").click()
    expect(explore.locator(".bp-figures > div").first.locator("dd")).to_have_text(f"{by_influence:,}")
    assert brush(explore) == first
    explore.get_by_role("button", name="Undo").click()
    expect(explore.locator(".bp-figures > div").first.locator("dt")).to_have_text("Sequences")


def test_link_shows_the_same_selection(explore: Page) -> None:
    brush_influence(explore)
    brush_region(explore)
    expect(explore.get_by_role("button", name="Region of the map")).to_be_visible()
    count, address = selected(explore), explore.url
    explore.goto("about:blank")
    explore.goto(address)
    expect(explore.get_by_role("button", name="Region of the map")).to_be_visible()
    assert selected(explore) == count


def test_zoom_survives_a_brush_in_another_view(explore: Page) -> None:
    plot, frame = explore.locator(".bp-linked").nth(MAP), box(explore, MAP)
    whole = _range(explore)
    plot.hover()
    plot.get_by_role("button", name="Zoom").click()
    drag(explore, [(frame["x"] + 150, frame["y"] + 130), (frame["x"] + 300, frame["y"] + 300)])
    zoomed = _range(explore)
    assert zoomed[1] - zoomed[0] < 0.7 * (whole[1] - whole[0])
    brush_influence(explore)
    assert _range(explore) == zoomed


def _range(page: Page) -> list[float]:
    found: list[float] = (
        page.locator(".bp-linked").nth(MAP).evaluate("chart => chart._fullLayout.xaxis.range.map(Number)")
    )
    return found


def test_region_drawn_in_a_small_map_of_a_stratum_is_brushed(explore: Page) -> None:
    explore.goto(f"{explore.url}&panels=By+stratum")
    drawn(explore, MAP, 1)
    plot = explore.locator(".bp-linked").nth(MAP)
    left, top, width, height = plot.evaluate(
        "chart => { const {xaxis2, yaxis2} = chart._fullLayout;"
        " return [xaxis2._offset, yaxis2._offset, xaxis2._length, yaxis2._length]; }"
    )
    before, frame = times(explore, MAP), box(explore, MAP)
    x, y = frame["x"] + left, frame["y"] + top
    shares = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.6), (0.1, 0.6), (0.1, 0.2))
    drag(explore, [(x + right * width, y + down * height) for right, down in shares])
    drawn(explore, MAP, before + 1)
    expect(explore.get_by_role("button", name="Region of the map")).to_be_visible()
    assert 0 < selected(explore) < SIZE
    panels, outlines = plot.evaluate(
        "chart => [chart._fullLayout._subplots.cartesian.length, chart.layout.shapes.length]"
    )
    assert panels == outlines > 2


def _hover_point(page: Page) -> tuple[float, float]:
    """Hold the mouse over a point of the map; gives its place in the window."""
    chart = page.locator(".bp-linked").nth(MAP)
    chart.scroll_into_view_if_needed()
    x, y = chart.evaluate(
        "chart => { const points = chart._fullData.find(trace => trace.customdata);"
        " const {xaxis, yaxis} = chart._fullLayout;"
        " return [xaxis.l2p(points.x[7]) + xaxis._offset, yaxis.l2p(points.y[7]) + yaxis._offset]; }"
    )
    frame = box(page, MAP)
    place = frame["x"] + x, frame["y"] + y
    page.mouse.move(*place)
    page.wait_for_timeout(300)
    return place


def _click_point(page: Page) -> int:
    """Click a point of the map; gives the position that is then in the address."""
    before = times(page, MAP)
    page.mouse.click(*_hover_point(page))
    drawn(page, MAP, before + 1)
    return _shown_point(page)


def _shown_point(page: Page) -> int:
    return int(parse_qs(urlparse(page.url).query)["point"][0])


def _sequence(page: Page, position: int) -> Locator:
    return page.get_by_role("heading", name=f"seq-{position:08d}")


def _pick(page: Page, table: int, row: int) -> int:
    """Pick a row of a table; gives the position of the sequence that is then shown."""
    before = parse_qs(urlparse(page.url).query).get("point", [""])[0]
    pick_row(page, table, row)
    page.wait_for_url(lambda url: parse_qs(urlparse(url).query).get("point", [before]) != [before])
    expect(_sequence(page, _shown_point(page))).to_be_visible()
    return _shown_point(page)


def _settles(page: Page) -> None:
    """The page is not drawn again and again: it stands still for two seconds."""
    resting = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(resting).to_be_visible()
    for _ in range(20):
        page.wait_for_timeout(100)
        assert resting.count() == 1


def test_click_on_a_point_shows_its_sequence(explore: Page) -> None:
    position = _click_point(explore)
    expect(_sequence(explore, position)).to_be_visible()
    expect(explore.get_by_text(re.compile(r"rank [\d,]+ of 3,000"))).to_be_visible()
    explore.get_by_role("button", name="Close").click()
    expect(_sequence(explore, position)).to_be_hidden()


def test_a_sequence_that_was_picked_in_the_table_stays_closed_and_can_be_picked_again(explore: Page) -> None:
    position = _pick(explore, -1, 2)
    explore.get_by_role("button", name="Close").click()
    expect(_sequence(explore, position)).to_be_hidden()
    _settles(explore)
    assert "point" not in parse_qs(urlparse(explore.url).query)
    # Its row is not marked any more: one click is enough.
    assert _pick(explore, -1, 2) == position


def test_a_neighbour_of_a_sequence_that_was_picked_in_the_table_is_shown_and_stays(explore: Page) -> None:
    first = _pick(explore, -1, 2)
    neighbour = _pick(explore, 0, 1)
    assert neighbour != first
    _settles(explore)
    assert _shown_point(explore) == neighbour
    expect(_sequence(explore, neighbour)).to_be_visible()
    # A third, from the neighbours of the second.
    assert _pick(explore, 0, 3) != neighbour
    _settles(explore)


def test_a_sequence_that_was_picked_in_the_table_is_shown_above_its_rows_in_view(explore: Page) -> None:
    explore.set_viewport_size({"width": 1440, "height": 900})
    for row in (1, 15):
        position = _pick(explore, -1, row)
        _settles(explore)
        panel = _sequence(explore, position).bounding_box()
        table = explore.get_by_test_id("stDataFrame").last.bounding_box()
        composition = explore.get_by_text("Composition per stratum").bounding_box()
        assert panel is not None and table is not None and composition is not None
        assert 0 <= panel["y"] < 900
        assert composition["y"] < panel["y"] < table["y"]
        explore.get_by_role("button", name="Close").click()
        expect(_sequence(explore, position)).to_be_hidden()
    # A point of the map is shown below the map, where it was picked.
    _click_point(explore)
    expect(explore.get_by_role("button", name="Close")).to_be_visible()
    panel = explore.get_by_role("button", name="Close").bounding_box()
    composition = explore.get_by_text("Composition per stratum").bounding_box()
    assert panel is not None and composition is not None and panel["y"] < composition["y"]


def test_a_point_of_the_map_is_shown_though_a_row_of_the_table_was_picked(explore: Page) -> None:
    picked = _pick(explore, -1, 2)
    clicked = _click_point(explore)
    assert clicked != picked
    _settles(explore)
    assert _shown_point(explore) == clicked
    expect(_sequence(explore, clicked)).to_be_visible()


def test_the_name_of_a_points_category_is_said_beside_its_colour(explore: Page) -> None:
    explore.goto(f"{explore.url}&colour=Label")
    drawn(explore, MAP, 1)
    _hover_point(explore)
    chart = explore.locator(".bp-linked").nth(MAP)
    hover = chart.locator(".hoverlayer .hovertext")
    expect(hover).to_contain_text("click for the sequence")
    expect(hover).to_contain_text("all others")


def test_search_narrows_the_table(explore: Page) -> None:
    explore.get_by_role("textbox", name="Id contains").fill("000012")
    explore.keyboard.press("Enter")
    expect(explore.get_by_text("111 sequences, 20 a page")).to_be_visible()
    assert brush(explore).search == "000012"


def test_picked_categories_and_a_brushed_one_are_in_the_address(explore: Page) -> None:
    explore.goto(f"{explore.url}&colour=Label")
    drawn(explore, MAP, 1)
    legend = explore.locator(".bp-linked").nth(MAP).locator(".legendtext")
    expect(legend).to_have_count(9)
    picker = explore.get_by_role("combobox", name="Labels in colour")
    explore.get_by_role("button", name="Clear all").first.click()
    for name in ("RF00039", "RF00001"):
        picker.fill(name)
        explore.get_by_role("option", name=name).click()
        expect(legend.get_by_text(name)).to_be_visible()
    picker.press("Escape")
    expect(legend).to_have_text(["RF00039", "RF00001", "all others"])
    assert parse_qs(urlparse(explore.url).query)["shown-label"] == ["RF00039", "RF00001"]
    explore.reload()
    drawn(explore, MAP, 1)
    expect(legend).to_have_text(["RF00039", "RF00001", "all others"])
    one = explore.get_by_role("combobox", name="Select one label")
    one.fill("RF00039")
    explore.get_by_role("option", name="RF00039").click()
    expect(explore.get_by_role("button", name="Label RF00039")).to_be_visible()
    found = brush(explore)
    assert found.category is not None
    assert found.category[1] == "RF00039"
