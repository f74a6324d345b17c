"""What an experiment compares: ways to choose the sequences that a network is pretrained on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.fields import member, refuse_unknown_fields
from bioprune_core.selection import Measure, SelectionConfig, StrataKind, Strategy

__all__ = ["RANDOM_MULTIPLE", "Arm", "ArmKind", "Role", "draw_seed"]

RANDOM_MULTIPLE = 10
"""How many times larger the random arm of the gate is."""


class ArmKind(StrEnum):
    """How an arm chooses."""

    FULL = "full"
    """Everything that may be drawn."""
    RANDOM = "random"
    """B uniformly: what every arm is compared with."""
    RANDOM_TENFOLD = "random-10x"
    """10 B uniformly; it contains the random B of the same seed."""
    TOP_INFLUENCE = "top-influence"
    COVERAGE_CENTRIC = "coverage-centric"
    BOTTOM_INFLUENCE = "bottom-influence"
    STRATEGY = "strategy"
    """Any strategy of `bioprune_core.selection`, named by `strategy`."""
    SAVED = "saved"
    """A saved coreset, named by `coreset`."""
    MIXTURE_MATCHED = "mixture-matched"
    """Random, with as many sequences of each group as the arm `of` has."""
    UNTRAINED = "untrained"
    """No pretraining: the initial weights."""


class Role(StrEnum):
    """Why an arm is in the table."""

    REFERENCE = "reference"
    ARM = "arm"
    CONTROL = "control"


_STRATEGIES = {
    ArmKind.TOP_INFLUENCE: Strategy.TOP_INFLUENCE,
    ArmKind.COVERAGE_CENTRIC: Strategy.COVERAGE_CENTRIC,
    ArmKind.BOTTOM_INFLUENCE: Strategy.BOTTOM_INFLUENCE,
}
_COLLAPSED = ("source", "label", "cluster")
_UNSIZED = (ArmKind.FULL, ArmKind.UNTRAINED)
_WITHOUT_INFLUENCE = (Strategy.RANDOM, Strategy.LENGTH_STRATIFIED)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to choose sequences.

    Args:
        kind: An ArmKind or its name.
        name: What the report calls it; by default made from the other fields. Unique in an experiment.
        strategy: Of kind `strategy` alone.
        hardest_cut: beta, percent of the largest influences dropped first; coverage-centric only.
        strata: k, for coverage-centric and length-stratified draws.
        strata_kind: Where the borders of the strata lie.
        measure: Influence as it is, or adjusted for length.
        coreset: Name of the saved coreset, of kind `saved` alone.
        of: The arm whose mixture is matched, of kind `mixture-matched` alone.
        grouping: What the mixture is of: "source", "label", "cluster", "length" or several, as in
            "source+length"; of kind `mixture-matched` alone.
        sizes: Coreset sizes that it takes part in; empty for all of the experiment's.
        one_per: "cluster", "label" or "source": of each of these one sequence alone may be drawn, chosen by
            the seed; a mixture-matched control of another grouping then draws from the same ones. Empty for
            all sequences. For random and selecting arms.

    Raises:
        InputError: Fields do not fit the kind; names them and the remedy.
    """

    kind: ArmKind
    name: str = ""
    strategy: str = ""
    hardest_cut: str = "5"
    strata: int = 50
    strata_kind: StrataKind = StrataKind.EQUAL_WIDTH
    measure: Measure = Measure.INFLUENCE
    coreset: str = ""
    of: "Arm | None" = None
    grouping: str = ""
    sizes: tuple[int, ...] = ()
    one_per: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", member(ArmKind, self.kind, "kind of an arm"))
        if not isinstance(self.name, str):
            raise InputError(f"The name of an arm is {self.name!r}; it must be a text.")
        object.__setattr__(self, "hardest_cut", str(self.hardest_cut))
        if not isinstance(self.sizes, list | tuple):
            raise InputError(f"The sizes of an arm are {self.sizes!r}; they must be a list of numbers.")
        object.__setattr__(self, "sizes", tuple(self.sizes))
        self._check_needs("strategy", ArmKind.STRATEGY)
        self._check_needs("coreset", ArmKind.SAVED)
        self._check_needs("of", ArmKind.MIXTURE_MATCHED)
        self._check_needs("grouping", ArmKind.MIXTURE_MATCHED)
        self._check_one_per()
        if self.selection is not None:
            # Bounds of beta, k and the names are checked where they are defined. The prune rate comes with B.
            checked = self.selection_config("99.99", 0)
            object.__setattr__(self, "strata_kind", checked.strata_kind)
            object.__setattr__(self, "measure", checked.measure)
        if not self.name:
            object.__setattr__(self, "name", self._default_name())

    @property
    def selection(self) -> Strategy | None:
        """The strategy that it draws by; None for kinds that draw by none."""
        if self.kind is ArmKind.STRATEGY:
            return member(Strategy, self.strategy, "strategy of an arm")
        return _STRATEGIES.get(self.kind)

    @property
    def needs_influence(self) -> bool:
        """Whether it can only be drawn where a run was scored."""
        if self.of is not None:
            return self.of.needs_influence
        return self.selection is not None and self.selection not in _WITHOUT_INFLUENCE

    @property
    def sized(self) -> bool:
        """Whether it depends on B."""
        return self.kind not in _UNSIZED

    @property
    def is_random(self) -> bool:
        """Whether another seed draws other sequences; otherwise the seed moves the pretraining alone."""
        return (
            bool(self.one_per)
            or self.kind in (ArmKind.RANDOM, ArmKind.RANDOM_TENFOLD, ArmKind.MIXTURE_MATCHED)
            or self.selection in (Strategy.RANDOM, Strategy.LENGTH_STRATIFIED, Strategy.COVERAGE_CENTRIC)
        )

    @property
    def is_plain(self) -> bool:
        """Whether it is as in the paper: all sequences, influence as it is, beta 5 % and 50 equal strata."""
        if self.one_per or self.measure is not Measure.INFLUENCE:
            return False
        if self.kind is not ArmKind.COVERAGE_CENTRIC:
            return True
        return (Decimal(self.hardest_cut), self.strata, self.strata_kind) == (
            Decimal(5),
            50,
            StrataKind.EQUAL_WIDTH,
        )

    @property
    def has_mixture_control(self) -> bool:
        """Whether a mixture-matched random belongs beside it: for what selects, controls excepted."""
        return self.kind is ArmKind.SAVED or (
            self.needs_influence and self.kind not in (ArmKind.BOTTOM_INFLUENCE, ArmKind.MIXTURE_MATCHED)
        )

    def selection_config(self, prune_rate: str, seed: int) -> SelectionConfig:
        """The selection that draws it; only for arms with a strategy.

        Raises:
            SelectionError: A parameter is out of its bounds.
        """
        selection = self.selection
        if selection is None:
            raise InputError(f'The arm "{self.name}" ({self.kind}) is not drawn by a strategy of selection.')
        return SelectionConfig.from_json(
            {
                "strategy": selection,
                "prune_rate": prune_rate,
                "hardest_cut": self.hardest_cut if selection is Strategy.COVERAGE_CENTRIC else "0",
                "strata": self.strata,
                "strata_kind": self.strata_kind,
                "seed": seed,
                "measure": self.measure,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as JSON values; the name and the kind always."""
        value: dict[str, Any] = {"kind": self.kind.value, "name": self.name}
        for name, plain in _PLAIN.items():
            if (mine := getattr(self, name)) != plain:
                value[name] = list(mine) if isinstance(mine, tuple) else mine
        return value | ({"of": self.of.to_json()} if self.of is not None else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Arm":
        """The arm that `to_json` wrote, or a person in a file.

        Raises:
            InputError: A field is unknown, `kind` is missing, or fields do not fit the kind.
        """
        if not isinstance(value, Mapping):
            raise InputError(f"An arm is {value!r}; it must be a table with a `kind`.")
        refuse_unknown_fields(cls, value, "fields of an arm")
        if "kind" not in value:
            raise InputError(
                f"An arm without a kind: {dict(value)}. Give `kind`, one of: {', '.join(ArmKind)}."
            )
        of = value.get("of")
        return cls(**{**value, "of": cls.from_json(of) if of is not None else None})

    def _check_needs(self, field: str, kind: ArmKind) -> None:
        given = bool(getattr(self, field))
        if given and self.kind is not kind:
            raise InputError(
                f"An arm of kind {self.kind} has `{field}`, which belongs to kind {kind}. Leave it out."
            )
        if self.kind is kind and not given:
            raise InputError(f"An arm of kind {kind} needs `{field}`.")

    def _check_one_per(self) -> None:
        if not self.one_per:
            return
        if self.selection is None and self.kind not in (ArmKind.RANDOM, ArmKind.MIXTURE_MATCHED):
            raise InputError(
                f"An arm of kind {self.kind} has `one_per`, which belongs to random and selecting arms. "
                "Leave it out."
            )
        if self.one_per not in _COLLAPSED:
            raise InputError(
                f"An arm has the `one_per` {self.one_per!r}. Choose one of: {', '.join(_COLLAPSED)}."
            )
        if self.of is not None and self.one_per != self.of.one_per:
            # Fewer sequences may be there than the mixture asks for.
            raise InputError(
                f'The mixture-matched arm has the `one_per` {self.one_per!r}, but "{self.of.name}", whose '
                f"mixture it matches, has {self.of.one_per!r}. Give both the same, or leave this one out."
            )

    def _default_name(self) -> str:
        if self.of is not None:
            return f"{self.of.name}: random of its {self.grouping} mixture"
        name = self.coreset or self.strategy or self.kind.value
        if self.selection is Strategy.COVERAGE_CENTRIC:
            name += f" beta {self.hardest_cut} k {self.strata}"
            name += "" if self.strata_kind is StrataKind.EQUAL_WIDTH else f" {self.strata_kind}"
        name += f" one per {self.one_per}" if self.one_per else ""
        return name + ("" if self.measure is Measure.INFLUENCE else f" {self.measure}")


_PLAIN: Mapping[str, Any] = {
    "strategy": "",
    "hardest_cut": "5",
    "strata": 50,
    "strata_kind": StrataKind.EQUAL_WIDTH,
    "measure": Measure.INFLUENCE,
    "coreset": "",
    "grouping": "",
    "sizes": (),
    "one_per": "",
}


def draw_seed(experiment_seed: int, seed: int) -> int:
    """The seed of a draw. All arms of one seed share it, so that their differences are paired.

    Args:
        experiment_seed: The experiment's own, `draw_seed`.
        seed: The seed of the cell.
    """
    digest = hashlib.blake2b(f"draw {experiment_seed} {seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
