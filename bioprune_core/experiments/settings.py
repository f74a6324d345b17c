"""The parts of an experiment's configuration: tasks, protocols, and how every arm is pretrained."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from bioprune_core.fields import member, refuse_unknown_fields, require
from bioprune_core.models import Architecture, Scale
from bioprune_core.models.architectures import from_scratch
from bioprune_core.tasks import Columns, OwnKind
from bioprune_core.training import TrainingConfig

__all__ = ["Budget", "PretrainingSettings", "TaskChoice", "is_name", "refuse"]

_SET_BY_THE_EXPERIMENT = ("steps", "epochs", "tokens", "seed")


class Budget(StrEnum):
    """What is equal between the arms."""

    TOKENS = "equal-tokens"
    """Tokens without pads, up to the last step: every network sees as many, small coresets more often."""
    STEPS = "equal-steps"
    """Optimiser steps of one token budget. The steps of small coresets are filled less well."""
    EPOCHS = "equal-epochs"
    """Passes over the arm's own sequences, as in the paper: larger arms train longer."""


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """A downstream task and where its data are.

    Args:
        name: The task's.
        folder: Of its data.
        limit: Most training examples, drawn by seed; None for all.
        kind: What the labels of one's own table are; None to guess, and for a known task.
        columns: Which columns of one's own table are read; those that are not named are guessed.

    Raises:
        InputError: A field is empty or out of its bounds.
    """

    name: str
    folder: str
    limit: int | None = None
    kind: OwnKind | None = None
    columns: Columns = field(default_factory=Columns)

    def __post_init__(self) -> None:
        refuse(not is_name(self.name), "name of a task", self.name, "must be a text, not empty")
        remedy = "needs the `folder` of its data, a path"
        refuse(not is_name(self.folder), f"folder of task {self.name}", self.folder, remedy)
        if self.limit is not None:
            whole = isinstance(self.limit, int) and not isinstance(self.limit, bool)
            wrong = not whole or self.limit < 1
            refuse(wrong, f"limit of task {self.name}", self.limit, "must be a whole number of at least 1")
        if self.kind is not None:
            kind = member(OwnKind, self.kind, f"experiment's kind of task {self.name}")
            object.__setattr__(self, "kind", kind)
        for column, name in asdict(self.columns).items():
            drawn = column == "split" and name == ""
            wrong = name is not None and not drawn and not is_name(name)
            remedy = "must be the name of a column"
            remedy += ', or "" for parts that are drawn' if column == "split" else ""
            refuse(wrong, f"columns.{column} of task {self.name}", name, remedy)

    @property
    def is_own(self) -> bool:
        """Whether it says how a table of one's own is read."""
        return self.kind is not None or self.columns != Columns()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; what is at its default is left out."""
        columns = {column: name for column, name in asdict(self.columns).items() if name is not None}
        optional = {
            "limit": self.limit,
            "kind": None if self.kind is None else self.kind.value,
            "columns": columns or None,
        }
        given = {name: value for name, value in optional.items() if value is not None}
        return {"name": self.name, "folder": self.folder, **given}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TaskChoice":
        """The inverse of `to_json`.

        Raises:
            InputError: A field is unknown, missing or out of its bounds.
        """
        refuse(not isinstance(value, Mapping), "task", value, "must be a table with a `name` and a `folder`")
        refuse_unknown_fields(cls, value, "fields of a task")
        columns = value.get("columns", {})
        listed = isinstance(columns, Mapping)
        refuse(not listed, "columns of a task", columns, 'must name columns: { label = "energy" }')
        refuse_unknown_fields(Columns, columns, "columns of a task")
        settings = {"name": "", "folder": "", **value, "columns": Columns(**columns)}
        return cls(**settings)


@dataclass(frozen=True, slots=True)
class PretrainingSettings:
    """How the network of every arm is trained, from scratch.

    Args:
        architecture: "rna-fm", "esm-2" or "esm-c".
        scale: "tiny", "small", "base" or "full".
        budget: What is equal between the arms.
        amount: Tokens or optimiser steps (whole numbers) under equal tokens and steps, else epochs.
        training: The other settings of `TrainingConfig`; what is left out has its default. Steps, epochs and
            seed are the experiment's to set.

    Raises:
        InputError: A setting is unknown or out of its bounds.
    """

    architecture: Architecture
    scale: Scale
    budget: Budget
    amount: float
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        family, size = from_scratch(self.architecture, self.scale)
        object.__setattr__(self, "architecture", family)
        object.__setattr__(self, "scale", size)
        object.__setattr__(self, "budget", member(Budget, self.budget, "experiment's budget"))
        valid = isinstance(self.amount, int | float) and not isinstance(self.amount, bool)
        refuse(
            not valid or not math.isfinite(self.amount) or self.amount <= 0,
            "amount of the pretraining",
            self.amount,
            "must be a number above 0: tokens, steps or epochs, as `budget` says",
        )
        if self.budget is not Budget.EPOCHS:
            what = self.budget.value.removeprefix("equal-")
            refuse(self.amount != int(self.amount), what, self.amount, "must be a whole number")
        # 10 and 10.0 epochs are the same training, and must give the same cells.
        object.__setattr__(self, "amount", float(self.amount))
        table = isinstance(self.training, Mapping)
        refuse(not table, "pretraining.training", self.training, "must be a table of settings")
        for name in _SET_BY_THE_EXPERIMENT:
            refuse(
                name in self.training,
                f"pretraining.training.{name}",
                self.training.get(name),
                "is set by `budget`, `amount` and `seeds`; leave it out",
            )
        self.training_config(0)

    def training_config(self, seed: int) -> TrainingConfig:
        """The training of one cell.

        Args:
            seed: The cell's.

        Raises:
            InputError: A training setting is unknown or out of its bounds.
        """
        name = self.budget.value.removeprefix("equal-")
        amount = self.amount if self.budget is Budget.EPOCHS else int(self.amount)
        return TrainingConfig.from_json({**self.training, name: amount, "seed": seed})

    def tokens(self, pool_tokens: int) -> float:
        """Tokens that training goes through.

        Args:
            pool_tokens: Of the arm's sequences, once.

        Returns:
            Under equal steps the token budget of all steps, pads included; else without pads.
        """
        if self.budget is Budget.STEPS:
            return self.amount * self.training_config(0).token_budget
        return self.amount if self.budget is Budget.TOKENS else self.amount * pool_tokens

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "architecture": self.architecture.value,
            "scale": self.scale.value,
            "budget": self.budget.value,
            "amount": self.amount,
            "training": dict(self.training),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PretrainingSettings":
        """The inverse of `to_json`.

        Raises:
            InputError: A field is unknown, missing or out of its bounds.
        """
        refuse(not isinstance(value, Mapping), "pretraining", value, "must be a table of settings")
        refuse_unknown_fields(cls, value, "pretraining settings")
        needed = ("architecture", "scale", "budget", "amount")
        missing = [name for name in needed if name not in value]
        refuse(bool(missing), "pretraining", dict(value), f"needs {', '.join(missing)}")
        return cls(**value)


def is_name(value: object) -> bool:
    """Whether a setting is a text that is not empty."""
    return isinstance(value, str) and bool(value)


def refuse(wrong: bool, name: str, value: object, why: str) -> None:
    """Raise an InputError about a setting of an experiment where `wrong` holds."""
    require(not wrong, f"experiment's {name}", repr(value), why)
