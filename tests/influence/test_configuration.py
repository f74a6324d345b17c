"""A configuration survives JSON, and refuses what it cannot mean."""

import subprocess
import sys

import pytest

from bioprune_core.errors import InputError
from bioprune_core.influence import InfluenceConfig, Objective, TooLong


def test_round_trip() -> None:
    config = InfluenceConfig(damping=1e-6, token_budget=4096, shard_size=100, too_long=TooLong.REFUSE)
    assert InfluenceConfig.from_json(config.to_json()) == config
    assert InfluenceConfig.from_json({}) == InfluenceConfig()


def test_text_becomes_the_choice() -> None:
    assert InfluenceConfig.from_json({"objective": "unmasked"}).objective is Objective.UNMASKED


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"damping": 0.0}, "damping must be a finite number above 0"),
        ({"damping": float("nan")}, "damping"),
        ({"damping": float("inf")}, "damping"),
        ({"token_budget": 0}, "token_budget must be a whole number of at least 1; got 0"),
        ({"shard_size": 1.5}, "shard_size"),
        ({"precision": "float16"}, "precision 'float16' is not available; supported: auto, float32, bf16"),
        ({"objective": "GraNd"}, "supported: unmasked, masked"),
        ({"dampening": 1.0}, "Unknown fields .*: dampening. Known are damping"),
    ],
)
def test_refusals(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        InfluenceConfig.from_json(values)


def test_reading_a_configuration_imports_no_torch() -> None:
    code = "import sys; from bioprune_core.influence import InfluenceConfig; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
