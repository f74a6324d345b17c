"""The range of influence is brushed by two fields, as by a drag over the distribution."""

from dataclasses import dataclass

import pytest
from streamlit.testing.v1 import AppTest

from app.brush_state import BRUSH_PARAMETERS


def page() -> None:
    """The fields for a run of influences from 0.5 to 123.456789, of which half are below 20."""
    from types import SimpleNamespace
    from typing import Any, cast

    import streamlit as st

    from app.brush_state import change_brush, current_brush, undo_brush
    from app.influence_range import influence_range
    from app.queries.brush import Brush
    from app.queries.distribution import Extent

    data: Any = SimpleNamespace(
        run=SimpleNamespace(id="run"),
        extent=Extent(0.5, 123.456789, 0.5),
        summary=lambda _brush: SimpleNamespace(median=20.0),
    )
    st.button("Undo", on_click=undo_brush)
    st.button("Drag", on_click=change_brush, args=(Brush(influence=(1.0, 2.0)),))
    influence_range(cast("Any", data), current_brush())


@dataclass
class Fields:
    """The page as a person has it before them."""

    drawn: AppTest

    def enter(self, label: str, value: float | None) -> None:
        [field] = [each for each in self.drawn.number_input if each.label == label]
        field.set_value(value)

    def run(self) -> None:
        self.drawn.run(timeout=60)
        assert not self.drawn.exception

    def press(self, label: str) -> None:
        [button] = [each for each in self.drawn.button if each.label == label]
        button.click()
        self.run()

    @property
    def values(self) -> list[float | None]:
        return [each.value for each in self.drawn.number_input]

    @property
    def brushed(self) -> str | None:
        """The range in the address."""
        given = self.drawn.query_params.get("influence")
        return given[0] if isinstance(given, list) else given


@pytest.fixture
def fields() -> Fields:
    shown = Fields(AppTest.from_function(page))
    shown.run()
    return shown


def test_two_fields_brush_exact_bounds(fields: Fields) -> None:
    assert "influence" in BRUSH_PARAMETERS
    assert fields.values == [None, None]
    fields.enter("Influence from", 2.25)
    fields.enter("Influence to", 40.5)
    fields.run()
    assert fields.brushed == "2.25..40.5"
    fields.enter("Influence from", None)
    fields.enter("Influence to", None)
    fields.run()
    assert fields.brushed is None


def test_an_open_end_reaches_the_extreme_of_the_run(fields: Fields) -> None:
    fields.enter("Influence from", 2.0)
    fields.run()
    assert fields.brushed is not None
    low, high = (float(part) for part in fields.brushed.split(".."))
    assert low == 2
    assert 123.456789 <= high < 123.5
    # The field that was left empty stays so, for what a person enters into it next.
    assert fields.values == [2.0, None]
    fields.enter("Influence to", 3.0)
    fields.run()
    assert fields.brushed == "2..3"


def test_fields_follow_a_brush_that_is_changed_elsewhere(fields: Fields) -> None:
    fields.press("Drag")
    assert fields.values == [1.0, 2.0]
    fields.enter("Influence to", 5.0)
    fields.run()
    assert fields.brushed == "1..5"
    fields.press("Undo")
    assert fields.values == [1.0, 2.0]
    fields.press("Undo")
    assert fields.values == [None, None]


def test_a_range_that_ends_before_it_begins_is_met_at_the_field(fields: Fields) -> None:
    fields.press("Drag")
    fields.enter("Influence from", 9.0)
    fields.run()
    assert fields.brushed == "1..2"
    assert any("from 9 down to 2" in element.proto.body for element in fields.drawn.get("html"))
    fields.enter("Influence to", 10.0)
    fields.run()
    assert fields.brushed == "9..10"
    assert not any("down to" in element.proto.body for element in fields.drawn.get("html"))
