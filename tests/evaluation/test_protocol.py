"""Protocols are read back as they were written, and refused outside of their bounds."""

import json

import pytest

from bioprune_core.errors import InputError
from bioprune_core.evaluation import (
    FineTuneSettings,
    Method,
    Pooling,
    ProbeSettings,
    Protocol,
    published_fine_tuning,
)


@pytest.mark.parametrize(
    "protocol",
    [Protocol(), Protocol(Method.FINE_TUNE, fine_tune=published_fine_tuning("rna-structure"))],
)
def test_a_protocol_survives_json(protocol: Protocol) -> None:
    assert Protocol.from_json(json.loads(json.dumps(protocol.to_json()))) == protocol


def test_settings_out_of_bounds_are_named() -> None:
    with pytest.raises(InputError, match="strengths is"):
        ProbeSettings(strengths=(0.0,))
    with pytest.raises(InputError, match="learning_rate is nan"):
        FineTuneSettings(learning_rate=float("nan"))
    for epochs in (0, 2e1, True):
        for settings in (ProbeSettings, FineTuneSettings):
            with pytest.raises(InputError, match=rf"epochs is {epochs}; it must be a whole number"):
                settings(epochs=epochs)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="pooling is layers; it must be mean or cls"):
        FineTuneSettings(pooling=Pooling.LAYERS)
    with pytest.raises(InputError, match="must be probe"):
        Protocol("constant")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="publishes no settings for the task rbp"):
        published_fine_tuning("rbp")
    with pytest.raises(InputError, match="Unknown settings of the probe: strength"):
        Protocol.from_json({"probe": {"strength": 1}})
