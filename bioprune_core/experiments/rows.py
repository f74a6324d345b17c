"""The rows of one block of the table: one task, protocol, metric and size, every arm against random B."""

from collections.abc import Sequence
from dataclasses import dataclass

from bioprune_core.experiments.arms import Arm, ArmKind, Role
from bioprune_core.experiments.configuration import ExperimentConfig
from bioprune_core.experiments.results import Measurement, State
from bioprune_core.experiments.statistics import Comparison, Summary, compare, summarise

__all__ = ["MixtureComparison", "Row", "Values", "block_rows"]


@dataclass(frozen=True, slots=True)
class Values:
    """The measurements of one block.

    Args:
        task: Name of the task.
        protocol: As in `Measurement`.
        metric: Its name.
        lower_is_better: Of the metric.
        size: B.
        measurements: Of this task, protocol and metric, at any size.
    """

    task: str
    protocol: str
    metric: str
    lower_is_better: bool
    size: int
    measurements: Sequence[Measurement]

    def of(self, arm: Arm) -> list[Measurement]:
        """Those of one arm at this size, or at none for an arm without one."""
        size = self.size if arm.sized else 0
        return [each for each in self.measurements if each.arm == arm.name and each.size == size]

    def by_seed(self, arm: Arm) -> dict[int, float]:
        """The finite values of one arm."""
        return {each.seed: each.value for each in self.of(arm) if each.value is not None}


@dataclass(frozen=True, slots=True)
class MixtureComparison:
    """An arm against random sequences of its own mixture, or with one sequence a group as it has.

    Args:
        grouping: What the mixture is of; "one per" and what, of the latter.
        comparison: Arm minus that random.
    """

    grouping: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Row:
    """One arm in one block.

    Args:
        task: Name of the task.
        protocol: As in `Measurement`.
        metric: Its name.
        lower_is_better: Of the metric.
        size: B of the block; arms without a size are in every block.
        arm: Name of the arm.
        kind: Its kind.
        role: Why it is in the table.
        summary: Of the finite values.
        failed: Values that failed or were not finite.
        missing: Values not computed yet.
        against_random: Arm minus random B; None for random B itself.
        against_mixture: For selections: what they do beyond their mixture, and beyond collapsing groups.
        plain: Whether it is as the paper has it: influence as it is, beta 5 %, 50 strata of equal width, all
            sequences.
        sized: Whether the arm has a size; full and untrained have none.
    """

    task: str
    protocol: str
    metric: str
    lower_is_better: bool
    size: int
    arm: str
    kind: ArmKind
    role: Role
    summary: Summary
    failed: int
    missing: int
    against_random: Comparison | None
    against_mixture: tuple[MixtureComparison, ...]
    plain: bool = True
    sized: bool = True


def block_rows(config: ExperimentConfig, values: Values) -> list[Row]:
    """All arms of a block, random B first, then the arms asked for, then the controls.

    Differences to random B are corrected for the number of arms compared with it in the block, differences
    to mixtures for the number of these.

    Args:
        config: The experiment.
        values: What was measured.
    """
    order = (Role.REFERENCE, Role.ARM, Role.CONTROL)
    present = [arm for arm in config.all_arms if not arm.sizes or values.size in arm.sizes]
    present.sort(key=lambda arm: order.index(config.role(arm)))
    reference = values.by_seed(config.reference)
    controls = {arm: [each for each in present if _is_control(each, arm)] for arm in present}
    mixtures = sum(len(found) for found in controls.values())
    rows = []
    for arm in present:
        mine = values.by_seed(arm)
        against_random = None
        if arm != config.reference:
            against_random = compare(
                mine, reference, config.seeds, values.lower_is_better, comparisons=len(present) - 1
            )
        against_mixture = tuple(
            MixtureComparison(
                control.grouping or f"one per {control.one_per}",
                compare(
                    mine,
                    values.by_seed(control),
                    config.seeds,
                    values.lower_is_better,
                    comparisons=mixtures,
                ),
            )
            for control in controls[arm]
        )
        rows.append(_row(config, arm, values, against_random, against_mixture))
    return rows


def _is_control(control: Arm, arm: Arm) -> bool:
    """Whether `control` is random in all but the rule that the selection `arm` is there to test."""
    if not arm.has_mixture_control:
        return False
    if control.kind is ArmKind.RANDOM:
        return bool(arm.one_per) and control.one_per == arm.one_per
    return control.kind is ArmKind.MIXTURE_MATCHED and control.of == arm


def _row(
    config: ExperimentConfig,
    arm: Arm,
    values: Values,
    against_random: Comparison | None,
    against_mixture: tuple[MixtureComparison, ...],
) -> Row:
    measurements = values.of(arm)
    return Row(
        task=values.task,
        protocol=values.protocol,
        metric=values.metric,
        lower_is_better=values.lower_is_better,
        size=values.size,
        arm=arm.name,
        kind=arm.kind,
        role=config.role(arm),
        summary=summarise(list(values.by_seed(arm).values())),
        failed=sum(each.state is State.FAILED for each in measurements),
        missing=sum(each.state is State.MISSING for each in measurements),
        against_random=against_random,
        against_mixture=against_mixture,
        plain=arm.is_plain,
        sized=arm.sized,
    )
