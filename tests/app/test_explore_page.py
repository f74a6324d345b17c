"""What the Explore page shows and where it is in the address follow one another."""

from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest
from synthetic_workspace import add_synthetic_run

from app import brush_bar, explore_details
from bioprune_core.workspace import Workspace

PAGE = Path(__file__).resolve().parents[2] / "pages" / "explore.py"


@pytest.fixture
def explore(served: Workspace) -> AppTest:
    """The page of a run of 300 sequences, 20 of which are on a page of its table."""
    project = served.create_project("explored")
    run = add_synthetic_run(served, project, 300)
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.query_params["project"], page.query_params["run"] = project.id, run.id
    return page


def rows(page: AppTest) -> list[int]:
    """The positions of the sequences in the table."""
    assert not page.exception
    return [int(position) for position in page.dataframe[-1].value["position"]]


def test_another_brush_starts_on_the_first_page_of_the_table(explore: AppTest) -> None:
    explore.query_params["page"] = "3"
    explore.run()
    third = rows(explore)
    [pages] = explore.get("pagination")
    assert pages.value == 3
    explore.text_input(key="search-").set_value("seq-000001").run()
    assert "page" not in explore.query_params
    assert [each.value for each in explore.get("pagination")] == [1]
    searched = rows(explore)
    assert len(searched) == 20 and all(100 <= position < 200 for position in searched)
    explore.get("pagination")[0].set_value(2).run()
    assert not set(rows(explore)) & set(searched)
    explore.button(key="undo-brush").click().run()
    assert "page" not in explore.query_params
    first = rows(explore)
    assert len(first) == 20 and not set(first) & set(third)


def test_sequences_without_a_label_are_brushed_and_coloured_like_a_label(explore: AppTest) -> None:
    explore.query_params["colour"] = "Label"
    explore.query_params["shown-label"] = ["RF00003", "\N{EMPTY SET}"]
    explore.run()
    assert not explore.exception
    [colours] = explore.multiselect
    assert colours.value == ["RF00003", "\N{EMPTY SET}"]
    [one] = [field for field in explore.selectbox if field.label == "Select one label"]
    assert {"no label", "RF00003"} < set(one.options)
    one.select("\N{EMPTY SET}").run()
    assert not explore.exception
    assert explore.query_params["label"] in ("\N{EMPTY SET}", ["\N{EMPTY SET}"])
    assert "Label no label" in [button.label for button in explore.button]
    assert explore.dataframe[-1].value["label"].isna().all()


def test_panels_by_stratum_offer_no_colours_that_they_would_not_have(explore: AppTest) -> None:
    explore.query_params["colour"] = "Label"
    explore.query_params["panels"] = "By stratum"
    explore.run()
    assert not explore.exception
    assert not explore.multiselect
    [colour] = [field for field in explore.selectbox if field.label == "Colour of the map"]
    assert colour.disabled
    assert "Select one label" in [field.label for field in explore.selectbox]


def test_two_clicks_save_one_subset(
    explore: AppTest, served: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second click comes before the browser shows the page that the first one leads to.
    monkeypatch.setattr(brush_bar, "go", lambda *_, **__: None)
    explore.run()
    explore.text_input(key="search-").set_value("seq-000001").run()
    for _ in range(2):
        explore.button(key="save-picked").click().run()
        assert not explore.exception
        assert [each.name for each in served.coresets()] == ["Id contains seq-000001"]


def test_rows_are_offered_for_download_as_long_as_the_web_process_can_hold_them(
    explore: AppTest, served: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = served.layout.dataset(served.datasets()[0].id) / "sequences" / "*.parquet"
    [(letters,)] = duckdb.sql(f"SELECT sum(length(sequence))::BIGINT FROM '{files}'").fetchall()

    def offered(most: int) -> tuple[bool, str]:
        monkeypatch.setattr(explore_details, "_MOST_LETTERS", most)
        explore.run()
        assert not explore.exception
        labels = [button.proto.label for button in explore.get("download_button")]
        said = " ".join(element.proto.body for element in explore.get("html"))
        return "Download 300 sequences (CSV)" in labels, said

    assert offered(letters)[0]
    shown, said = offered(letters - 1)
    assert not shown
    assert "Save as a subset and export that" in said
    # Few enough of them can be downloaded.
    explore.text_input(key="search-").set_value("seq-000001").run()
    labels = [button.proto.label for button in explore.get("download_button")]
    assert "Download 100 sequences (CSV)" in labels


def test_both_pictures_offer_their_data(explore: AppTest) -> None:
    explore.run()
    assert not explore.exception
    names = [
        button.proto.id for button in explore.get("download_button") if button.proto.label == "Data (CSV)"
    ]
    assert len(names) == 3
    for name in ("influence", "map", "labels per stratum"):
        assert any(each.endswith(name) for each in names), names


def test_a_sequence_picked_in_the_table_is_shown_directly_above_its_rows(explore: AppTest) -> None:
    explore.query_params["point"] = "7"
    explore.run()
    # Where it was picked on the map or comes from the address: below the map, above the composition.
    assert _before(explore, "close-point", "composition")
    explore.session_state["point-picked-in-table"] = 7
    explore.run()
    assert _before(explore, "composition", "sort") and _before(explore, "sort", "close-point")
    assert len(explore.dataframe) == 2 and "position" in explore.dataframe[-1].value
    # Another one is looked at since.
    explore.query_params["point"] = "8"
    explore.run()
    assert _before(explore, "close-point", "composition")


def _before(page: AppTest, first: str, second: str) -> bool:
    """Whether a widget is drawn above another, by their keys."""
    assert not page.exception
    keys = [getattr(each, "key", None) for each in page.main]
    return keys.index(first) < keys.index(second)
