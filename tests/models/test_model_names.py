"""Names resolve to placed weights, then to the hub's cache; without either the message says what to do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from official_layouts import esm_c_state, rna_fm_state

from bioprune_core.errors import ModelError
from bioprune_core.models import create_model, load_model, places


class Hub:
    """Stands in for the hub's client: a cache, and no network."""

    def __init__(self) -> None:
        self.cached: dict[str, Path] = {}
        self.asked: list[tuple[str, bool]] = []
        self.down: Exception = FileNotFoundError("name not known")

    def snapshot_download(self, repository: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        assert allow_patterns
        assert not any(pattern.endswith((".py", ".bin")) for pattern in allow_patterns)
        self.asked.append((repository, local_files_only))
        if repository in self.cached:
            return str(self.cached[repository])
        raise FileNotFoundError("no such snapshot") if local_files_only else self.down


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    monkeypatch.setenv("BIOPRUNE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path / "workspace"))
    hub = Hub()
    monkeypatch.setattr(places, "snapshot_download", hub.snapshot_download)
    return hub


def write_rna_fm(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(rna_fm_state(width=64), path)


@pytest.mark.parametrize(
    "place", ["models/RNA-FM_pretrained.pth", "models/rna-fm/anything.pth", "workspace/weights/rna-fm/w.pth"]
)
def test_placed_weights_are_found_without_the_hub(place: str, hub: Hub, tmp_path: Path) -> None:
    write_rna_fm(tmp_path / place)
    assert load_model("RNA-FM").name == "rna-fm"
    assert not hub.asked


def test_the_chosen_folder_comes_before_the_workspace(hub: Hub, tmp_path: Path) -> None:
    write_rna_fm(tmp_path / "models" / "RNA-FM_pretrained.pth")
    (tmp_path / "workspace" / "weights" / "rna-fm").mkdir(parents=True)
    assert load_model("rna-fm").parameters > 0


def test_the_cache_is_used_before_the_network(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    (folder / "data" / "weights").mkdir(parents=True)
    torch.save(esm_c_state(), folder / "data" / "weights" / "esmc_300m_2024_12_v0.pth")
    hub.cached["EvolutionaryScale/esmc-300m-2024-12"] = folder
    assert load_model("esmc-300m").name == "esmc-300m"
    assert all(local for _, local in hub.asked)


def test_a_cache_that_lacks_a_shard_is_not_used(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "model-1.safetensors").touch()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    hub.cached["lab/large"] = folder
    with pytest.raises(ModelError, match="could not be fetched") as caught:
        load_model("lab/large")
    assert "not all weights" in str(caught.value.detail)


def test_a_hub_id_loads_from_the_cache(hub: Hub, tmp_path: Path) -> None:
    network: Any = create_model("esm-2", "tiny", "protein", seed=0).network
    network.save_pretrained(tmp_path / "cache")
    hub.cached["lab/our-esm2"] = tmp_path / "cache"
    assert load_model("lab/our-esm2").name == "lab/our-esm2"


def test_a_hub_id_is_found_where_the_message_says_to_place_it(hub: Hub) -> None:
    with pytest.raises(ModelError) as caught:
        load_model("lab/private")
    place = re.search(r"place it in (\S+/private/)", caught.value.message)
    assert place is not None
    network: Any = create_model("esm-2", "tiny", "protein", seed=0).network
    network.save_pretrained(place.group(1))
    hub.asked.clear()
    assert load_model("lab/private").name == "lab/private"
    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rna-fm", ["RNA-FM_pretrained.pth", "cuhkaih/rnafm", "models/RNA-FM_pretrained.pth"]),
        ("esm2-8m", ["model.safetensors", "facebook/esm2_t6_8M_UR50D", "models/esm2_t6_8M_UR50D/"]),
        ("lab/private", ["There is no folder lab/private here", "models/private/", "BIOPRUNE_MODELS"]),
    ],
)
def test_without_network_the_message_says_what_to_place_where(name: str, words: list[str], hub: Hub) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name)
    for word in words:
        assert word in caught.value.message
    assert "name not known" in str(caught.value.detail)
    assert [local for _, local in hub.asked] == [True, False]


def test_an_error_of_the_library_below_the_hubs_client_ends_in_the_same_message(hub: Hub) -> None:
    hub.down = Exception("403 Forbidden from the proxy")  # what no built-in error is a base of
    with pytest.raises(ModelError, match=r"could not be fetched") as caught:
        load_model("esmc-300m")
    sources = {repository for repository, _ in hub.asked}
    assert len(sources) > 1
    assert str(caught.value.detail).count("403 Forbidden from the proxy") == len(sources)


def test_unknown_names_get_a_suggestion(hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"Did you mean esm2-650m\?"):
        load_model("esm2-650")
    with pytest.raises(ModelError, match="There is no model"):
        load_model(Path("nowhere") / "model")
    assert not hub.asked
