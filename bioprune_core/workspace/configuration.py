"""What a dataset, a model, a run and an experiment are made from: everything needed to do it again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError

__all__ = ["CONFIG_FILE", "HELD_OUT_SIZE", "DatasetConfig", "ExperimentPlan", "ModelConfig", "RunConfig"]

CONFIG_FILE = "config.json"
HELD_OUT_SIZE = 256
"""Sequences of the held-out slice, and of a pretraining's validation, where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class DatasetConfig:
    """Which files to ingest, and how.

    Args:
        files: Absolute paths of files and folders.
        options: `IngestOptions` as JSON.
        within: Folders that no file may lead out of, also not by a link; empty for anywhere.
    """

    files: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    within: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.files:
            raise InputError("A dataset needs at least one file or folder; none was given.")
        for path in self.files:
            try:
                path.encode()
            except UnicodeEncodeError as error:
                raise InputError(
                    f"The path {path!r} is not UTF-8 and cannot be noted in a dataset. Rename it, or give "
                    "the folder that holds it."
                ) from error

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with the kind of the directory."""
        within = {"within": list(self.within)} if self.within else {}
        return {"kind": "dataset", "files": list(self.files), "options": dict(self.options), **within}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "DatasetConfig":
        """The inverse of `to_json`."""
        return cls(tuple(value["files"]), value["options"], tuple(value.get("within", ())))


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model trained from scratch here.

    Args:
        architecture: Name of the architecture: "rna-fm", "esm-2", "esm-c".
        scale: "tiny", "small", "base" or "full".
        alphabet: The letters it reads; those of the dataset.
        dataset_id: What it is trained on.
        dataset_content_hash: Content hash of that dataset, SHA-256.
        seed: Seed of the initial weights.
        training: `TrainingConfig` as JSON; what is left out has its default.
        validation_size: Sequences held out of the training to measure the loss on.
        training_size: Sequences to train on, drawn uniformly; None for all. All of them are held in memory.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        coreset_id: A coreset of the dataset to train on instead of all of it; the loss is then measured on
            sequences outside of it.
    """

    architecture: str
    scale: str
    alphabet: Alphabet
    dataset_id: str
    dataset_content_hash: str
    seed: int = 0
    training: Mapping[str, Any] = field(default_factory=dict)
    validation_size: int = HELD_OUT_SIZE
    training_size: int | None = None
    device: str = "auto"
    coreset_id: str | None = None

    def __post_init__(self) -> None:
        _check_count("validation_size", self.validation_size, 0)
        if self.training_size is not None:
            _check_count("training_size", self.training_size, 1)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with the kind of the directory."""
        return {"kind": "model"} | asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ModelConfig":
        """The inverse of `to_json`."""
        settings = _without_kind(value)
        return cls(**settings | {"alphabet": Alphabet(settings["alphabet"])})


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A scoring of a pool, complete enough to be replayed.

    Args:
        dataset_id: The pool.
        dataset_content_hash: Content hash of the pool, SHA-256.
        model_id: The catalogue's model.
        model_reference: Registered name, hub id or path; None for a model trained here.
        model_content_hash: Content hash of a model trained here; None for one from elsewhere, whose
            hash is known once it is loaded and then stands in the run's manifest.
        subset_size: M, the sequences to fine-tune on and to estimate the Fisher from.
        subset_seed: Seed of the draw of the subset and the held-out slice.
        held_out_size: Sequences outside the subset on which the fine-tuning's loss is measured.
        training: `TrainingConfig` of the subset fine-tuning as JSON; what is left out has its default.
        influence: `InfluenceConfig` as JSON; what is left out has its default.
        map: `MapConfig` as JSON; what is left out has its default.
        diagnostics: `DiagnosticsConfig` as JSON; what is left out has its default.
        device: "auto", "cpu", "cuda", "cuda:1", ...
    """

    dataset_id: str
    dataset_content_hash: str
    model_id: str
    subset_size: int
    model_reference: str | None = None
    model_content_hash: str | None = None
    subset_seed: int = 0
    held_out_size: int = HELD_OUT_SIZE
    training: Mapping[str, Any] = field(default_factory=dict)
    influence: Mapping[str, Any] = field(default_factory=dict)
    map: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def __post_init__(self) -> None:
        _check_count("subset_size", self.subset_size, 1)
        _check_count("held_out_size", self.held_out_size, 0)

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration: two runs with equal digests compute the same."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with the kind of the directory."""
        return {"kind": "run"} | asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RunConfig":
        """The inverse of `to_json`."""
        return cls(**_without_kind(value))


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """An experiment as it was asked for.

    Args:
        settings: `ExperimentConfig` as JSON.
        base: Folder that relative paths of tasks start at, absolute.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        coresets: Id of each saved coreset that an arm names, by that name. One that was asked for before ids
            were noted has none and goes by its name.
    """

    settings: Mapping[str, Any]
    base: str
    device: str = "auto"
    coresets: Mapping[str, str] = field(default_factory=dict)

    @property
    def base_folder(self) -> Path:
        """`base` as a path."""
        return Path(self.base)

    @property
    def named_coresets(self) -> tuple[str, ...]:
        """The saved coresets that arms name, or arms whose mixture is matched."""
        arms = [each for arm in self.settings.get("arms", ()) for each in (arm, arm.get("of") or {})]
        return tuple(dict.fromkeys(arm["coreset"] for arm in arms if arm.get("coreset")))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with the kind of the directory."""
        value = {"kind": "experiment"} | asdict(self)
        return value if self.coresets else {name: each for name, each in value.items() if name != "coresets"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ExperimentPlan":
        """The inverse of `to_json`."""
        return cls(**_without_kind(value))


def _without_kind(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: setting for name, setting in value.items() if name != "kind"}


def _check_count(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{name} is {value}; it must be at least {least}.")
