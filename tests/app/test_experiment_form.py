"""The form of an experiment begins with what trains a network of the chosen scale well."""

import json
from dataclasses import replace

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
