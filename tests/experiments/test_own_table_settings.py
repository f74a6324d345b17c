"""How one's own table is read is a setting of its task; experiments without it stay the same."""

from typing import Any

import pytest
from planned_trial import configured

from bioprune_core.errors import InputError
from bioprune_core.experiments import TaskChoice
from bioprune_core.tasks import Columns, OwnKind


def test_how_an_own_table_is_read_is_written_only_where_it_is_set() -> None:
    plain = {"name": "mine", "folder": "mine.csv"}
    assert TaskChoice.from_json(plain).to_json() == plain
    assert TaskChoice.from_json({**plain, "kind": None, "columns": {}, "limit": None}).to_json() == plain
    assert not TaskChoice.from_json(plain).is_own
    asked = {**plain, "limit": 9, "kind": "regression", "columns": {"label": "energy", "split": "set"}}
    choice = TaskChoice.from_json(asked)
    assert (choice.kind, choice.columns) == (OwnKind.REGRESSION, Columns(label="energy", split="set"))
    assert choice.to_json() == asked
    assert choice.is_own
    drawn = TaskChoice.from_json({**plain, "columns": {"split": ""}})
    assert (drawn.columns, drawn.is_own) == (Columns(split=""), True)
    assert drawn.to_json() == {**plain, "columns": {"split": ""}}
    # The digest of before there were these settings.
    assert configured(tasks=[plain]).digest.startswith("e26dc9b429cebe1c")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kind": "pairs"}, "kind of task mine is 'pairs'; it must be one of classification, regression"),
        ({"columns": {"labels": "energy"}}, "Unknown columns of a task: labels. Known are label, partner"),
        ({"columns": "energy"}, "columns of a task is 'energy'; it must name columns"),
        ({"columns": {"label": ""}}, "columns.label of task mine is ''; it must be the name of a column"),
        ({"columns": {"split": 3}}, 'must be the name of a column, or "" for parts that are drawn'),
        ({"columns": {"label": 3}}, "columns.label of task mine is 3; it must be"),
    ],
)
def test_how_an_own_table_is_read_is_checked(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        configured(tasks=[{"name": "mine", "folder": "mine.csv", **settings}])
