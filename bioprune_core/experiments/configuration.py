"""What an experiment is: everything needed to do it again, checked before anything runs."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from bioprune_core.errors import InputError, MissingFileError
from bioprune_core.evaluation import Method, Protocol, published_fine_tuning
from bioprune_core.experiments.arms import Arm, ArmKind, Role
from bioprune_core.experiments.controls import controls_of
from bioprune_core.experiments.pool import parts_of
from bioprune_core.experiments.settings import PretrainingSettings, TaskChoice, is_name, refuse
from bioprune_core.fields import is_number, refuse_unknown_fields

__all__ = ["RECOMMENDED_SEEDS", "ExperimentConfig", "read_experiment"]

RECOMMENDED_SEEDS = 5
"""Fewer give a warning: with less, hardly any difference can be told from none."""

_NEEDED = ("name", "project", "dataset", "sizes", "seeds", "tasks", "pretraining")


@dataclass(frozen=True, slots=True)
class ExperimentConfig:
    """An experiment.

    The controls are not among the settings: `all_arms` adds them, whatever the file says.

    Args:
        name: Of the experiment.
        project: Its project.
        dataset: The pool.
        sizes: Coreset sizes B, each at least 1.
        seeds: Of draws, initial weights, masks and heads: one cell each; at least one, better five.
        tasks: What networks are measured on; at least one.
        pretraining: How they are trained.
        arms: What is compared, beside the controls.
        run: The scored run that arms select from; None where no arm looks at influence.
        protocols: How they are measured; at least one.
        protocol_settings: Settings of the protocols, by the protocol's name.
        mixtures: Groupings whose mixtures the controls match: "source", "label", "cluster", "length", or
            several at once, as in "source+length"; at least one.
        held_out_share: Share of the pool that losses are measured on, 0 <= share < 1.
        held_out_families: Labels whose sequences are kept from every arm, to measure losses on.
        exclude_tests: Whether test sequences of the tasks are kept from every arm.
        near_identity: Similarity from which sequences count as near-identical to a test sequence, above 0
            and at most 1; None to exclude identical ones alone.
        leave_out_leaks: Whether training and validation examples of the tasks that are near-identical to test
            examples are left out.
        draw_seed: Of the draws and of what is held out, together with the cell's seed.

    Raises:
        InputError: A setting is out of its bounds or contradicts another; names it and the remedy.
    """

    name: str
    project: str
    dataset: str
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    tasks: tuple[TaskChoice, ...]
    pretraining: PretrainingSettings
    arms: tuple[Arm, ...] = ()
    run: str | None = None
    protocols: tuple[Method, ...] = (Method.PROBE,)
    protocol_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mixtures: tuple[str, ...] = ("source",)
    held_out_share: float = 0.01
    held_out_families: tuple[str, ...] = ()
    exclude_tests: bool = True
    near_identity: float | None = None
    leave_out_leaks: bool = False
    draw_seed: int = 0

    def __post_init__(self) -> None:
        for name in ("name", "project", "dataset"):
            refuse(not is_name(getattr(self, name)), name, getattr(self, name), "must be a text, not empty")
        refuse(not (self.run is None or is_name(self.run)), "run", self.run, "must be the name of a run")
        for name in ("mixtures", "held_out_families"):
            named = all(is_name(each) for each in getattr(self, name))
            refuse(not named, name, getattr(self, name), "must be a list of names")
        _check_whole(self.sizes, "sizes", 1)
        _check_whole(self.seeds, "seeds", 0)
        _check_whole((self.draw_seed,), "draw_seed", 0)
        _check_some_unique([task.name for task in self.tasks], "tasks")
        _check_some_unique(list(self.protocols), "protocols")
        _check_some_unique(list(self.mixtures), "mixtures")
        in_bounds = is_number(self.held_out_share) and 0 <= self.held_out_share < 1
        refuse(not in_bounds, "held_out_share", self.held_out_share, "must be a number in [0, 1)")
        for name in ("exclude_tests", "leave_out_leaks"):
            yes_or_no = isinstance(getattr(self, name), bool)
            refuse(not yes_or_no, name, getattr(self, name), "must be true or false")
        if self.near_identity is not None:
            in_bounds = is_number(self.near_identity) and 0 < self.near_identity <= 1
            refuse(not in_bounds, "near_identity", self.near_identity, "must be a number in (0, 1]")
            refuse(
                not self.exclude_tests,
                "near_identity",
                self.near_identity,
                "says which neighbours of test sequences are excluded, but exclude_tests is false",
            )
        table = isinstance(self.protocol_settings, Mapping)
        refuse(not table, "protocol_settings", self.protocol_settings, "must be a table of tables")
        unknown = sorted(set(self.protocol_settings) - set(self.protocols))
        refuse(bool(unknown), "protocol_settings", unknown, f"may be of {', '.join(self.protocols)}")
        for kind, task in product(self.protocols, self.tasks):
            self.protocol(kind, task.name)  # what it refuses is refused before hours of training
        self._check_arms()

    def protocol(self, kind: Method, task: str) -> Protocol:
        """How networks are measured on a task by one of the protocols.

        Fine-tuning with `published` begins from what the task's benchmark publishes; other settings of the
        table come before these.

        Raises:
            InputError: A setting of it is unknown, of another type or out of its bounds, or nothing is
                published for the task.
        """
        table = self.protocol_settings.get(kind, {})
        mapping = isinstance(table, Mapping)
        refuse(not mapping, f"protocol_settings.{kind}", table, "must be a table of settings")
        settings = dict(table)
        if kind is Method.FINE_TUNE:
            published = settings.pop("published", False)
            yes_or_no = isinstance(published, bool)
            refuse(not yes_or_no, f"protocol_settings.{kind}.published", published, "must be true or false")
            if published:
                settings = asdict(published_fine_tuning(task)) | settings
        try:
            return Protocol.from_json({"method": kind.value, kind.value.replace("-", "_"): settings})
        except TypeError as error:
            raise InputError(
                f"A setting of the protocol {kind} has another type than it must have: {settings}.",
                detail=str(error),
            ) from error

    @property
    def all_arms(self) -> tuple[Arm, ...]:
        """The arms asked for and the controls, which cannot be left out."""
        return self.arms + controls_of(self.arms, self.mixtures, self.run is not None)

    def role(self, arm: Arm) -> Role:
        """Why an arm is in the table."""
        if arm.kind is ArmKind.RANDOM and not arm.sizes and not arm.one_per:
            return Role.REFERENCE
        collapsed = arm.kind is ArmKind.RANDOM and arm.one_per
        control = collapsed or arm.kind in (
            ArmKind.UNTRAINED,
            ArmKind.RANDOM_TENFOLD,
            ArmKind.BOTTOM_INFLUENCE,
            ArmKind.MIXTURE_MATCHED,
        )
        return Role.CONTROL if control else Role.ARM

    @property
    def drawn_arms(self) -> tuple[Arm, ...]:
        """The arms as named, and those whose mixture they match."""
        return tuple(each for arm in self.arms for each in (arm, arm.of) if each is not None)

    @property
    def matched(self) -> tuple[str, ...]:
        """Whose mixtures are matched by some arm, or told of all: "source", "source+length" and so on."""
        named = [arm.grouping for arm in self.drawn_arms if arm.grouping]
        return tuple(dict.fromkeys([*self.mixtures, *named]))

    @property
    def groupings(self) -> tuple[str, ...]:
        """What the pool's sequences are grouped by for the arms: "source", "label" and so on."""
        parts = [part for grouping in self.matched for part in parts_of(grouping)]
        return tuple(dict.fromkeys([*parts, *(arm.one_per for arm in self.drawn_arms if arm.one_per)]))

    @property
    def reference(self) -> Arm:
        """Random B, which every arm is compared with."""
        return next(arm for arm in self.all_arms if self.role(arm) is Role.REFERENCE)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what the experiment cannot tell as it stands."""
        found = []
        if len(self.seeds) < RECOMMENDED_SEEDS:
            found.append(
                f"There {'is one seed' if len(self.seeds) == 1 else f'are {len(self.seeds)} seeds'}; with "
                f"fewer than {RECOMMENDED_SEEDS} hardly any difference can be told from none. Add seeds: "
                "what is computed already stays."
            )
        if self.held_out_share == 0 and not self.held_out_families:
            found.append("Nothing is held out, so no masked loss on unseen sequences can be reported.")
        elif not self.held_out_families:
            found.append(
                "No family is held out: losses are measured on random sequences alone, whose relatives are "
                "in the arms, and more in some than in others."
            )
        if not self.exclude_tests:
            found.append(
                "Test sequences of the tasks may be in the pool, which may flatter every trained arm."
            )
        return tuple(found)

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration: equal ones are the same experiment."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; settings at their default are left out, so that new ones change no digest."""
        value = {
            "name": self.name,
            "project": self.project,
            "dataset": self.dataset,
            "sizes": list(self.sizes),
            "seeds": list(self.seeds),
            "tasks": [task.to_json() for task in self.tasks],
            "pretraining": self.pretraining.to_json(),
        }
        optional: dict[str, tuple[Any, Any]] = {
            "arms": ([arm.to_json() for arm in self.arms], []),
            "run": (self.run, None),
            "protocols": ([kind.value for kind in self.protocols], [Method.PROBE.value]),
            "protocol_settings": ({name: dict(of) for name, of in self.protocol_settings.items()}, {}),
            "mixtures": (list(self.mixtures), ["source"]),
            "held_out_share": (self.held_out_share, 0.01),
            "held_out_families": (list(self.held_out_families), []),
            "exclude_tests": (self.exclude_tests, True),
            "near_identity": (self.near_identity, None),
            "leave_out_leaks": (self.leave_out_leaks, False),
            "draw_seed": (self.draw_seed, 0),
        }
        return value | {name: mine for name, (mine, plain) in optional.items() if mine != plain}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ExperimentConfig":
        """The inverse of `to_json`.

        Raises:
            InputError: A field is unknown, missing, of another type or out of its bounds.
        """
        refuse_unknown_fields(cls, value, "settings of an experiment")
        if missing := [name for name in _NEEDED if name not in value]:
            raise InputError(f"The experiment lacks {', '.join(missing)}. Add these settings.")
        settings = dict(value)
        for name in ("sizes", "seeds", "tasks", "arms", "protocols", "mixtures", "held_out_families"):
            if name in settings:
                listed = isinstance(settings[name], list | tuple)
                refuse(not listed, name, settings[name], "must be a list")
                settings[name] = tuple(settings[name])
        settings["tasks"] = tuple(TaskChoice.from_json(each) for each in settings["tasks"])
        settings["arms"] = tuple(Arm.from_json(each) for each in settings.get("arms", ()))
        settings["pretraining"] = PretrainingSettings.from_json(settings["pretraining"])
        known = list(Method)  # not a set, in which entries of any type could not be looked for
        wrong = [kind for kind in settings.get("protocols", ()) if kind not in known]
        refuse(bool(wrong), "protocols", wrong, f"may be {', '.join(Method)}")
        if "protocols" in settings:
            settings["protocols"] = tuple(Method(kind) for kind in settings["protocols"])
        return cls(**settings)

    def _check_arms(self) -> None:
        for arm in self.arms:
            if arm.needs_influence and self.run is None:
                raise InputError(
                    f'The arm "{arm.name}" selects by influence, but the experiment names no scored run. '
                    "Set `run`, or leave the arm out."
                )
            if strange := [size for size in arm.sizes if size not in self.sizes]:
                raise InputError(
                    f'The arm "{arm.name}" has sizes {strange} that the experiment has not: '
                    f"{list(self.sizes)}. Add them there, or leave them out."
                )
        _check_some_unique([arm.name for arm in self.all_arms], "arms (with the controls)")


def read_experiment(path: Path) -> ExperimentConfig:
    """The experiment in a TOML or JSON file.

    Raises:
        InputError: The file is missing (MissingFileError), is neither, or its settings are not acceptable;
            names the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise MissingFileError(f"The experiment {path} does not exist. Check the path.") from error
    except OSError as error:
        raise InputError(f"The experiment {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise InputError(f"The experiment {path} is not valid {kind}: {error}.") from error
    if not isinstance(value, dict):
        raise InputError(f"The experiment {path} is a JSON {type(value).__name__}; it must be an object.")
    try:
        return ExperimentConfig.from_json(value)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.detail) from error


def _check_whole(values: tuple[int, ...], name: str, least: int) -> None:
    refuse(not values, name, values, "must have at least one value")
    for value in values:
        whole = isinstance(value, int) and not isinstance(value, bool)
        refuse(not whole or value < least, name, value, f"must be whole numbers of at least {least}")
    refuse(len(set(values)) != len(values), name, values, "must not repeat a value")


def _check_some_unique(names: list[Any], what: str) -> None:
    refuse(not names, what, names, "must have at least one entry")
    repeated = sorted({name for name in names if names.count(name) > 1})
    refuse(bool(repeated), what, repeated, "must not repeat a name; give each its own `name`")
