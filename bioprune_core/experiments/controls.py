"""The arms that no experiment can leave out."""

from dataclasses import replace

from bioprune_core.experiments.arms import Arm, ArmKind
from bioprune_core.experiments.pool import parts_of

__all__ = ["controls_of"]


def controls_of(arms: tuple[Arm, ...], mixtures: tuple[str, ...], scored: bool) -> tuple[Arm, ...]:
    """The arms that every experiment has beside those asked for, without the ones that are there already.

    Args:
        arms: What a person asked for.
        mixtures: Groupings whose mixtures are matched.
        scored: Whether there is a scored run; without one there is no bottom-influence.

    Where arms draw one sequence a group, so does a random arm.

    Source: method.md, section 6: random B and 10 B, untrained, bottom-influence, mixture-matched random.
    """
    wanted = [Arm(ArmKind.RANDOM), Arm(ArmKind.RANDOM_TENFOLD), Arm(ArmKind.UNTRAINED)]
    if scored:
        wanted.append(Arm(ArmKind.BOTTOM_INFLUENCE))
    wanted += _collapsed(arms)
    wanted += [
        Arm(
            ArmKind.MIXTURE_MATCHED,
            of=arm,
            grouping=grouping,
            sizes=arm.sizes,
            # One sequence of each of the arm's own groups would be the arm itself.
            one_per="" if arm.one_per in parts_of(grouping) else arm.one_per,
        )
        for arm in arms
        if arm.has_mixture_control
        for grouping in mixtures
    ]
    # An arm that is restricted to some sizes, or renamed, does not stand in for the control at all of them.
    present = {replace(arm, name="-") for arm in arms}
    return tuple(arm for arm in wanted if replace(arm, name="-") not in present)


def _collapsed(arms: tuple[Arm, ...]) -> list[Arm]:
    """Random with one sequence a group, at the sizes of the arms that draw so: what this does by itself."""
    sizes: dict[str, list[tuple[int, ...]]] = {}
    for arm in arms:
        if arm.one_per:
            sizes.setdefault(arm.one_per, []).append(arm.sizes)
    return [
        Arm(
            ArmKind.RANDOM,
            one_per=one_per,
            sizes=() if () in found else tuple(sorted({size for each in found for size in each})),
        )
        for one_per, found in sizes.items()
    ]
