"""The form of an experiment begins with what trains a network of the chosen scale well."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bioprune_core.experiments.settings import PretrainingSettings
from bioprune_core.training import pretraining


def _networks_alone() -> None:
    import json

    import streamlit as st

    from app.experiment_form import _networks
    from bioprune_core.alphabet import Alphabet

    st.text(json.dumps(_networks(Alphabet.RNA)))


@pytest.mark.parametrize("scale", ["tiny", "base"])
def test_networks_are_trained_with_the_recommended_settings_of_their_scale(scale: str) -> None:
    page = AppTest.from_function(_networks_alone, default_timeout=120).run()
    page.selectbox(key="network-scale").select(scale).run()
    settings = PretrainingSettings.from_json(json.loads(page.text[0].value)["pretraining"])
    found = settings.training_config(seed=3)
    expected = replace(pretraining(scale, seed=3), steps=None, tokens=int(settings.amount))
    assert replace(found, epochs=expected.epochs) == expected


def _own_table_alone(table: str) -> None:
    import json
    from pathlib import Path

    import streamlit as st

    from app.experiment_tasks import _own_table

    st.text(json.dumps(_own_table(Path(table))))


@pytest.mark.parametrize(
    ("column", "values", "guessed"),
    [("split", ("train", "valid", "test"), True), ("partition", ("0", "1", "2"), False)],
)
def test_a_split_is_guessed_where_it_names_parts_and_can_be_declined(
    tmp_path: Path, column: str, values: tuple[str, ...], guessed: bool
) -> None:
    table = tmp_path / "mine.csv"
    rows = [f"ACGU{'GC' * number},{number / 7:.3f},{values[number % 3]}" for number in range(30)]
    table.write_text("\n".join([f"sequence,label,{column}", *rows]) + "\n")
    page = AppTest.from_function(_own_table_alone, default_timeout=120, args=(str(table),)).run()
    split = page.selectbox(key=f"own-split-{table}")
    assert split.options[0] == "None: drawn at random"
    assert (split.value, json.loads(page.text[0].value)) == (
        (column, [{"columns": {"split": column}}, ""]) if guessed else ("", [{}, ""])
    )
    split.select(None if guessed else column).run()
    split.select("" if guessed else column).run()
    assert json.loads(page.text[0].value) == [{"columns": {"split": "" if guessed else column}}, ""]
